using System.Collections.Concurrent;

namespace Skein.Gateway.Keys;

/// <summary>The keys in use and what each has used. The keys can be replaced at run time: requests that run are not affected. Thread-safe.</summary>
internal sealed class ApiKeyStore(TimeProvider time) : IApiKeys
{
    private readonly ConcurrentDictionary<string, KeyMeter> _meters = new(StringComparer.Ordinal);
    private readonly Lock _gate = new();
    private volatile ApiKeyRing? _ring;
    private volatile GatewayNames _gateways = GatewayNames.Alone;

    /// <summary>False: every request is served, and there is nothing to authenticate with.</summary>
    public bool IsRequired => _ring is not null;

    /// <summary>True: the APIs need no key, whatever administration needs.</summary>
    public bool IsOpenToClients => _ring?.IsOpenToClients ?? true;

    /// <summary>Finds places of keys at other gateways. Default (null): this gateway is alone.</summary>
    public IKeyPlaces? Places { get; set; }

    public void Use(ApiKeyRing ring)
    {
        lock (_gate)
        {
            _ring = ring;
            foreach (var name in _meters.Keys.Except(ring.Keys.Select(key => key.Name), StringComparer.Ordinal))
                _meters.TryRemove(name, out _);
            foreach (var key in ring.Keys)
            {
                if (_meters.TryGetValue(key.Name, out var meter))
                    meter.Use(key);
            }
        }
    }

    public ApiKey? Find(string? secret) => secret is { Length: > 0 } ? _ring?.Find(secret) : null;

    public KeyMeter MeterOf(ApiKey key) => _meters.GetOrAdd(
        key.Name, static (_, made) => new KeyMeter(made.key, made.time, made.Gateways), (key, time, Gateways: _gateways));

    /// <summary>Gives one place of a key to another gateway.</summary>
    /// <returns>False: all are used, or the key is not known or not limited.</returns>
    public bool GivePlace(string name) => _ring?.FindByName(name) is { } key && MeterOf(key).GivePlace();

    /// <summary>What the keys with limits have used here, for other gateways.</summary>
    public IEnumerable<KeyUseRow> Report() => _meters.Values.Select(meter => meter.Report()).OfType<KeyUseRow>();

    /// <summary>Takes in what other gateways report.</summary>
    /// <param name="gateways">All live gateways, this one included.</param>
    /// <param name="elsewhere">By name of the key. Names that are not of the ring are ignored.</param>
    public void Exchange(GatewayNames gateways, IReadOnlyDictionary<string, KeyUseElsewhere> elsewhere)
    {
        _gateways = gateways;
        foreach (var key in _ring?.Keys ?? [])
        {
            var isReported = elsewhere.TryGetValue(key.Name, out var use);
            if (isReported || _meters.ContainsKey(key.Name))
                MeterOf(key).Exchange(isReported ? use : new KeyUseElsewhere(gateways.Count), gateways);
        }
    }

    /// <summary>Use of each key that was used since it was added, by name.</summary>
    public IReadOnlyList<KeyUse> Uses => [.. _meters.Values.Select(meter => meter.Read()).OrderBy(use => use.Name, StringComparer.Ordinal)];
}

/// <summary>The API keys of a gateway, for whoever reads them from a file. Thread-safe.</summary>
public interface IApiKeys
{
    /// <summary>Requires keys from now on, of clients too unless <see cref="ApiKeyRing.IsOpenToClients"/>, and accepts exactly these.</summary>
    void Use(ApiKeyRing ring);
}
