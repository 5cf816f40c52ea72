using Microsoft.Extensions.Time.Testing;
using Skein.Gateway.Keys;
using Skein.Gateway.Peers;

namespace Skein.Gateway.Tests.Peers;

/// <summary>Several gateways with the same keys in virtual time. Each asks the others once a second, at a moment of its own.</summary>
internal sealed class GatewaysInVirtualTime
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(10);

    private readonly FakeTimeProvider _time = new();
    private readonly List<Gateway> _gateways = [];
    private int _steps;

    public Gateway this[int index] => _gateways[index];

    public void Start(int gateways, Func<ApiKey, ApiKey> with)
    {
        for (var i = 0; i < gateways; i++)
            _gateways.Add(new Gateway($"gateway-{_gateways.Count}", (ulong)_gateways.Count, with, _time));
        // All know how many there are.
        foreach (var gateway in _gateways)
            Exchange(gateway);
    }

    public int Running => _gateways.Sum(gateway => gateway.Meter.Read().Running);

    public void EndAll()
    {
        foreach (var gateway in _gateways)
        {
            while (gateway.Meter.Read().Running > 0)
                gateway.Meter.End();
        }
    }

    /// <summary>Ends one request of each gateway with this probability.</summary>
    public void EndSome(Random random, double probability)
    {
        foreach (var gateway in _gateways.Where(gateway => gateway.Meter.Read().Running > 0 && random.NextDouble() < probability))
            gateway.Meter.End();
    }

    /// <summary>Asks, and takes a place of another gateway before if it helps.</summary>
    public int AskWithPlaces(int gateway)
    {
        var meter = _gateways[gateway].Meter;
        if (meter is { NeedsPlace: true, MaySearchPlace: true })
        {
            if (_gateways.Where(other => other != _gateways[gateway]).Any(other => other.Keys.GivePlace("k")))
                meter.TakePlace();
            else
                meter.FoundNoPlace();
        }
        return Ask(gateway);
    }

    /// <returns>1 if a request begins, 0 if it is refused.</returns>
    public int Ask(int gateway) => _gateways[gateway].Meter.Begin("m") is null ? 1 : 0;

    /// <returns>Sum of what each step returned.</returns>
    public int Run(TimeSpan duration, Func<int, int> step)
    {
        var sum = 0;
        for (var left = duration; left > TimeSpan.Zero; left -= Step, _steps++)
        {
            _time.Advance(Step);
            for (var i = 0; i < _gateways.Count; i++)
            {
                if (_steps % 100 == 30 * i)
                    Exchange(_gateways[i]);
            }
            // Four times the limit.
            if (_steps % 5 is 0 or 2)
                sum += step(_steps / 5) + step((_steps / 5) + 1);
        }
        return sum;
    }

    private void Exchange(Gateway gateway)
    {
        if (!gateway.IsDead)
        {
            gateway.Exchange.Use(gateway.Name, _gateways.Where(other => other != gateway && !other.IsDead)
                .ToDictionary(other => other.Name, other => other.IsSilent ? null : other.Exchange.Report()));
        }
    }

    public sealed class Gateway
    {
        private readonly ApiKey _key;

        public Gateway(string name, ulong instance, Func<ApiKey, ApiKey> with, TimeProvider time)
        {
            _key = with(new ApiKey { Name = "k", Hash = ApiKey.HashOf("secret of this key") });
            Name = name;
            Keys = new ApiKeyStore(time);
            Keys.Use(new ApiKeyRing([_key]));
            Exchange = new KeyUseExchange(Keys, instance);
        }

        public string Name { get; }

        public ApiKeyStore Keys { get; }

        public KeyUseExchange Exchange { get; }

        public KeyMeter Meter => Keys.MeterOf(_key);

        public bool IsDead { get; set; }

        public bool IsSilent { get; set; }
    }
}
