using System.Collections.Concurrent;
using System.Threading.RateLimiting;
using Grpc.Net.Client;
using Skein.Gateway.Group;
using Skein.Gateway.Keys;
using Skein.Gateway.Links;

namespace Skein.Gateway.Peers;

/// <summary>
/// Asks the other gateways of the group once a second what API keys have used there, and for places of a key whose own are used up. Thread-safe, but for
/// the rounds, of which one runs at a time.
/// </summary>
internal sealed partial class KeyUseLoop(
    KeyUseExchange exchange, ApiKeyStore keys, LinkOptions link, BackgroundTasks tasks, TimeProvider time, ILogger<KeyUseLoop> logger)
    : IKeyPlaces, IDisposable
{
    /// <summary>Most gateways that are asked, the first ones by name. Each asks each.</summary>
    public const int MostPeers = 64;

    private const int LoggedFailures = 3;

    /// <summary>Most requests of a key that wait for places at once. More are admitted or refused as if no other gateway had one.</summary>
    private const int MostWaiting = 1000;

    private static readonly TimeSpan Period = TokenBucket.ExchangePeriod;

    /// <summary>Longest wait for an answer: the next round must not wait for it.</summary>
    private static readonly TimeSpan Timeout = Period * 0.8;

    /// <summary>Longest wait for a place: a request waits for it.</summary>
    private static readonly TimeSpan PlaceTimeout = TimeSpan.FromSeconds(1);

    /// <summary>Connections to gateways, by name and address. One round at a time changes them.</summary>
    private readonly ConcurrentDictionary<(string Name, string Address), GrpcChannel> _channels = [];

    /// <summary>Failures in a row, of gateways that fail.</summary>
    private readonly ConcurrentDictionary<string, int> _failures = new(StringComparer.Ordinal);

    /// <summary>One search for a place of a key at a time: those behind it need not ask if it found none.</summary>
    private readonly PartitionedRateLimiter<string> _searches = PartitionedRateLimiter.Create<string, string>(static key =>
        RateLimitPartition.GetConcurrencyLimiter(key, static _ => new ConcurrencyLimiterOptions { PermitLimit = 1, QueueLimit = MostWaiting }));

    private bool _hasWarned;

    /// <summary>Follows until the gateway stops. Called once.</summary>
    public void Follow(IMembership membership) => tasks.Observe(RunAsync(membership, tasks.Stopping));

    public async Task FindAsync(KeyGrant grant, CancellationToken cancellationToken)
    {
        using var turn = await _searches.AcquireAsync(grant.Name, cancellationToken: cancellationToken);
        if (!turn.IsAcquired || !grant.MaySearchPlace)
            return;
        var options = new CallOptions(deadline: time.GetUtcNow().UtcDateTime + PlaceTimeout, cancellationToken: cancellationToken);
        var request = new TakeStreamRequest { KeyName = grant.Name };
        foreach (var channel in _channels.Values)
        {
            try
            {
                var response = await new GatewayPeer.GatewayPeerClient(MemberChannel.Invoker(channel, link)).TakeStreamAsync(request, options);
                if (response.IsGiven)
                {
                    grant.TakePlace();
                    return;
                }
            }
            catch (Exception failure) when (failure is RpcException or ObjectDisposedException)
            {
                // A gateway that is gone, or of an older release, has none to give. The rounds say whom they do not reach.
                cancellationToken.ThrowIfCancellationRequested();
            }
        }
        grant.FoundNoPlace();
    }

    public void Dispose() => _searches.Dispose();

    /// <summary>One round.</summary>
    internal async Task AskAsync(MembershipSnapshot group, CancellationToken cancellationToken)
    {
        List<(string Name, string Address)> peers =
        [
            .. group.Members.Where(member => member is { IsLive: true, IsSelf: false, Role: Roles.Gateway } && GroupFleet.IsAddress(member.Metadata.Grpc))
                .OrderBy(member => member.Name, StringComparer.Ordinal).Take(MostPeers)
                .Select(member => (member.Name, member.Metadata.Tls ? $"https://{member.Metadata.Grpc}" : member.Metadata.Grpc)),
        ];
        if (peers.Count > 0 && link.Keys is null)
        {
            if (!_hasWarned)
                Log.NotShared(logger);
            _hasWarned = true;
            return;
        }
        CloseOthers(peers);
        var reports = await Task.WhenAll(peers.Select(peer => AskAsync(peer, cancellationToken)));
        exchange.Use(group.Self.Name, peers.Zip(reports).ToDictionary(pair => pair.First.Name, pair => pair.Second, StringComparer.Ordinal));
    }

    private async Task RunAsync(IMembership membership, CancellationToken stopping)
    {
        keys.Places = this;
        try
        {
            // Without keys there is nothing to share.
            await PeriodicLoop.RunAsync(Period, time, () => keys.IsRequired ? AskAsync(membership.Current, stopping) : Task.CompletedTask, stopping);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The gateway stops.
        }
        finally
        {
            CloseOthers([]);
        }
    }

    private async Task<KeyUseReport?> AskAsync((string Name, string Address) peer, CancellationToken cancellationToken)
    {
        if (!_channels.TryGetValue(peer, out var channel))
            _channels[peer] = channel = MemberChannel.Open(peer.Address, link);
        try
        {
            var options = new CallOptions(deadline: time.GetUtcNow().UtcDateTime + Timeout, cancellationToken: cancellationToken);
            var report = await new GatewayPeer.GatewayPeerClient(MemberChannel.Invoker(channel, link)).GetKeyUseAsync(new GetKeyUseRequest(), options);
            _failures.TryRemove(peer.Name, out _);
            return report;
        }
        catch (RpcException error)
        {
            cancellationToken.ThrowIfCancellationRequested();
            // Once: a gateway of an older release never answers. Not at once: one that starts or stops is silent for a moment.
            if (_failures.AddOrUpdate(peer.Name, 1, static (_, count) => count < int.MaxValue ? count + 1 : count) == LoggedFailures)
                Log.NotAnswered(logger, peer.Name, $"{error.StatusCode}: {error.Status.Detail}");
            return null;
        }
    }

    private void CloseOthers(List<(string Name, string Address)> peers)
    {
        foreach (var gone in _channels.Keys.Except(peers).ToList())
        {
            _channels.TryRemove(gone, out var channel);
            channel?.Dispose();
            _failures.TryRemove(gone.Name, out _);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(3110, LogLevel.Warning, "Limits of API keys count for this gateway alone: it has no link key; set --link-key-file on all gateways")]
        public static partial void NotShared(ILogger logger);

        [LoggerMessage(3111, LogLevel.Warning, "Gateway {Name} does not say what API keys use there, so that their limits may be exceeded: {Problem}")]
        public static partial void NotAnswered(ILogger logger, string name, string problem);
    }
}
