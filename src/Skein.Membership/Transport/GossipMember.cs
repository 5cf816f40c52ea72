using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Skein.Membership.Codec;
using Skein.Membership.Core;
using Skein.Protocol.V1;

namespace Skein.Membership.Transport;

/// <summary>The shell around one core: sockets, name resolution, logs and the public interface.</summary>
internal sealed partial class GossipMember : IMembership, ICoreEffects
{
    /// <summary>Event id of the log line for a death; tests count deaths by it.</summary>
    internal const int DiedEventId = 1005;

    private readonly GossipPort _port;
    private readonly GossipLoop _loop;
    private readonly StreamPort _streams;
    private readonly MonitorConnections _monitored;
    private readonly SnapshotPublisher _snapshots;
    private readonly LoadBeaconStore _beacons;
    private readonly DropLog _drops;
    private readonly LocalSignals _signals;
    private readonly SeedAddress[] _seeds;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly CancellationTokenSource _stopping = new();
    private readonly TaskCompletionSource _active = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _left = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<Member> _superseded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TimeSpan _exchangeTimeout;
    private readonly bool _sealed;
    private Task _accepting = Task.CompletedTask;
    private int _resolutions;
    private long _lastLoad = -1;
    private int _disposed;

    public GossipMember(MembershipOptions options, byte[] metadata, GossipPort port, TimeProvider time, ILogger log)
    {
        (_port, _time, _log) = (port, time, log);
        _snapshots = new SnapshotPublisher(options.BeaconsTo);
        _beacons = new LoadBeaconStore(time, options.Protocol.BeaconLifetime);
        _exchangeTimeout = options.Protocol.ExchangeTimeout;
        _seeds = [.. options.Seeds.Select(static seed => SeedAddress.TryParse(seed, out var parsed) ? parsed : throw new ArgumentException(seed))];
        _streams = new StreamPort(port, time, _exchangeTimeout);
        var settings = new CoreSettings(
            options.Name, options.Cluster, PeerAddress.From(port.Reachable(options.Advertise)),
            (ulong)time.GetUtcNow().ToUnixTimeMilliseconds(), metadata, options.Seeds, options.Protocol) { Keys = options.Keys };
        _sealed = !options.Keys.IsEmpty;
        var seed = MemberName.IdOf(options.Name) ^ (ulong)time.GetTimestamp();
        _drops = new DropLog(log);
        _loop = new GossipLoop(port, time, new MembershipCore(settings, seed, this), _snapshots, _drops);
        _monitored = new MonitorConnections(_streams, _loop.Post, _stopping.Token);
        _signals = new LocalSignals(delay => _loop.Post((core, now) => core.RecordDelay(delay, now)), time);
    }

    public MembershipSnapshot Current => _snapshots.Current;

    public IPEndPoint LocalEndPoint => _port.EndPoint;

    public Task<Member> Superseded => _superseded.Task;

    public Task StartAsync()
    {
        _accepting = _streams.AcceptAsync(ServeAsync, _stopping.Token);
        _loop.Start();
        _ = FailWithLoopAsync();
        return _active.Task;
    }

    public ValueTask<MembershipSnapshot> WaitForChangeAsync(long version, CancellationToken cancellationToken) =>
        _snapshots.WaitAsync(version, cancellationToken);

    public void UpdateMetadata(MemberMetadata metadata)
    {
        var encoded = MembershipOptions.Encode(metadata);
        _loop.Post((core, now) => core.UpdateMetadata(encoded, now));
    }

    public void UpdateLoad(int inFlight, int queued)
    {
        // Called fifty times a second, mostly with the same values: that must neither wake the loop nor allocate.
        var load = (long)Math.Max(0, inFlight) << 32 | (uint)Math.Max(0, queued);
        if (Interlocked.Exchange(ref _lastLoad, load) != load)
            Post(load);

        void Post(long load) => _loop.Post((core, now) => core.UpdateLoad((uint)(load >> 32), (uint)load, now));
    }

    public bool TryGetBeacon(string name, [NotNullWhen(true)] out LoadBeacon? beacon) => _beacons.TryGet(name, out beacon);

    public ValueTask WaitForBeaconAsync(CancellationToken cancellationToken) => _beacons.WaitAsync(cancellationToken);

    public long CountDropped(DropCause cause) => _drops.Count(cause);

    public void UseKeys(GossipKeys keys)
    {
        if (keys.IsEmpty == _sealed)
            throw new ArgumentException("gossip keys cannot be switched on or off in a running member: restart it");
        _loop.Post((core, _) => core.UseKeys(keys));
    }

    public void ProbeNow(string name)
    {
        var id = MemberName.IdOf(name);
        _loop.Post((core, now) => core.ProbeNow(id, now));
    }

    public Task LeaveAsync(CancellationToken cancellationToken)
    {
        _loop.Post(static (core, now) => core.Leave(now));
        return Task.WhenAny(_left.Task, _superseded.Task).WaitAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        await _stopping.CancelAsync();
        _signals.Dispose();
        _loop.Stop();
        await _loop.Ended.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _snapshots.Close();
        _port.Dispose();
        _stopping.Dispose();
    }

    void ICoreEffects.Send(PeerAddress to, ReadOnlySpan<byte> datagram)
    {
        if (!_port.TrySend(to, datagram))
            Log.NotSent(_log, to);
    }

    void ICoreEffects.Exchange(ExchangeToken token, PeerAddress to, ReadOnlySpan<byte> request, TimeSpan timeout) =>
        _ = ExchangeAsync(token, to, request.ToArray(), timeout);

    void ICoreEffects.Monitor(int slot, PeerAddress to, ReadOnlySpan<byte> request) => _monitored.Replace(slot, to, request);

    void ICoreEffects.Resolve(int seed) => _ = ResolveAsync(seed);

    void ICoreEffects.BeaconReceived(MemberRecord from, Codec.LoadUpdate load) => _beacons.Put(from, load);

    void ICoreEffects.Report(CoreEvent what, MemberRecord about)
    {
        if (what == CoreEvent.Died)
            Log.Died(_log, about.Name, about.Details.Death, about.Details.Accusers.Count, about.Generation, about.Incarnation, about.Address);
        else
            Log.Event(_log, what, about.Name, about.Generation, about.Incarnation, about.Address);
        switch (what)
        {
            case CoreEvent.Joined when !_port.CanReach(about.Address):
                Log.Unreachable(_log, about.Name, about.Address, _port.Families, _port.EndPoint);
                break;
            case CoreEvent.Activated:
                _active.TrySetResult();
                break;
            case CoreEvent.NameTaken:
                _active.TrySetException(new MembershipException(
                    MembershipError.NameTaken, $"the name '{about.Name}' is in use: its process answers at {about.Address}"));
                break;
            case CoreEvent.Superseded:
                _superseded.TrySetResult(_snapshots.ToMember(about, isSelf: false));
                break;
            case CoreEvent.Died or CoreEvent.Left:
                _beacons.Remove(about.Name);
                break;
            case CoreEvent.LeaveAnnounced:
                _left.TrySetResult();
                break;
        }
    }

    private async Task ExchangeAsync(ExchangeToken token, PeerAddress to, byte[] request, TimeSpan timeout)
    {
        (var outcome, var reply) = await _streams.AskAsync(to, request, timeout, _stopping.Token);
        if (!_stopping.IsCancellationRequested)
            _loop.Post((core, now) => core.ExchangeEnded(token, outcome, to, reply, now));
    }

    private async Task ResolveAsync(int index)
    {
        var seed = _seeds[index];
        PeerAddress? found = null;
        var problem = "its name does not resolve";
        try
        {
            using var deadline = new CancellationTokenSource(_exchangeTimeout, _time);
            PeerAddress[] reachable = [.. (await seed.ResolveAsync(deadline.Token)).Where(_port.CanReach)];
            // A name with several addresses (a headless service) gives another one each time.
            if (reachable.Length > 0)
                found = reachable[(uint)Interlocked.Increment(ref _resolutions) % reachable.Length];
            else
                problem = $"it has no {_port.Families} address, and this member listens on {_port.Families} only ({_port.EndPoint})";
        }
        catch (Exception error) when (error is SocketException or OperationCanceledException)
        {
            Log.NotResolved(_log, seed.Host, error.Message);
        }
        if (!_stopping.IsCancellationRequested)
            _loop.Post((core, now) => core.SeedResolved(index, found, now, problem));
    }

    /// <summary>An exception in the loop removes this member from the group: waiting callers must learn of it.</summary>
    private async Task FailWithLoopAsync()
    {
        try
        {
            await await Task.WhenAny(_loop.Ended, _accepting);
        }
        catch (Exception error)
        {
            Log.LoopFailed(_log, error);
            _active.TrySetException(error);
            _superseded.TrySetException(error);
            _left.TrySetException(error);
        }
    }

    private Task<StreamReply> ServeAsync(PeerAddress from, byte[] request)
    {
        var reply = new TaskCompletionSource<StreamReply>(TaskCreationOptions.RunContinuationsAsynchronously);
        _loop.Post((core, now) =>
        {
            var bytes = core.Serve(from, request, now, out var mayStay);
            if (core.LastDrop != DropCause.None)
                _drops.Add(core.LastDrop, from, now);
            reply.SetResult(new StreamReply(bytes.IsEmpty ? null : bytes.ToArray(), mayStay));
        });
        return reply.Task;
    }

    private static partial class Log
    {
        [LoggerMessage(1000, LogLevel.Critical, "The gossip loop failed; this member no longer takes part in the group")]
        public static partial void LoopFailed(ILogger logger, Exception error);

        [LoggerMessage(1001, LogLevel.Information, "{What}: {Name}, generation {Generation}, incarnation {Incarnation}, at {Address}")]
        public static partial void Event(ILogger logger, CoreEvent what, string name, ulong generation, uint incarnation, PeerAddress address);

        [LoggerMessage(1002, LogLevel.Debug, "The kernel refused a datagram to {Address}")]
        public static partial void NotSent(ILogger logger, PeerAddress address);

        [LoggerMessage(1003, LogLevel.Warning, "Seed {Host} does not resolve: {Reason}")]
        public static partial void NotResolved(ILogger logger, string host, string reason);

        [LoggerMessage(DiedEventId, LogLevel.Information,
            "Died: {Name}, {Cause} ({Accusers} accusers), generation {Generation}, incarnation {Incarnation}, at {Address}")]
        public static partial void Died(ILogger logger, string name, DeathCause cause, int accusers, ulong generation, uint incarnation, PeerAddress address);

        [LoggerMessage(1006, LogLevel.Error, "Member {Name} at {Address} cannot be reached: this member listens on {Families} only ({EndPoint})")]
        public static partial void Unreachable(ILogger logger, string name, PeerAddress address, string families, IPEndPoint endPoint);
    }
}
