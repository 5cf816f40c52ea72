using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Skein.Membership.Core;
using Skein.Membership.Codec;
using Skein.Protocol.V1;

namespace Skein.Membership.Transport;

/// <summary>The shell around one core: sockets, names, logs, and the public face.</summary>
internal sealed partial class GossipMember : IMembership, ICoreEffects
{
    private readonly GossipPort _port;
    private readonly GossipLoop _loop;
    private readonly StreamPort _streams;
    private readonly Watches _watches;
    private readonly SnapshotPublisher _board;
    private readonly LoadBeaconStore _beacons;
    private readonly DropLog _drops;
    private readonly LocalSignals _signals;
    private readonly SeedAddress[] _seeds;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly CancellationTokenSource _stopping = new();
    private readonly TaskCompletionSource _active = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _goodbye = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<Member> _superseded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TimeSpan _exchangeTimeout;
    private readonly bool _sealed;
    private Task _accepting = Task.CompletedTask;
    private int _resolutions;
    private long _toldLoad = -1;
    private int _disposed;

    public GossipMember(MembershipOptions options, byte[] metadata, GossipPort port, TimeProvider time, ILogger log)
    {
        (_port, _time, _log) = (port, time, log);
        _board = new SnapshotPublisher(options.BeaconsTo);
        _beacons = new LoadBeaconStore(time, options.Protocol.BeaconLifetime);
        _exchangeTimeout = options.Protocol.ExchangeTimeout;
        _seeds = [.. options.Seeds.Select(static seed => SeedAddress.TryParse(seed, out var parsed) ? parsed : throw Check.Refused(seed))];
        _streams = new StreamPort(port, time, _exchangeTimeout);
        var settings = new CoreSettings(
            options.Name, options.Cluster, PeerAddress.From(port.Reachable(options.Advertise)),
            (ulong)time.GetUtcNow().ToUnixTimeMilliseconds(), metadata, options.Seeds, options.Protocol) { Keys = options.Keys };
        _sealed = !options.Keys.IsEmpty;
        var seed = PacketHeader.MemberOf(options.Name) ^ (ulong)time.GetTimestamp();
        _drops = new DropLog(log);
        _loop = new GossipLoop(port, time, new MembershipCore(settings, seed, this), _board, _drops);
        _watches = new Watches(_streams, _loop.Post, _stopping.Token);
        _signals = new LocalSignals(_loop.NoteDelay, time);
    }

    public MembershipSnapshot Current => _board.Current;

    public IPEndPoint LocalEndPoint => _port.EndPoint;

    public Task<Member> Superseded => _superseded.Task;

    /// <summary>Ends when this member takes part, or may not.</summary>
    public Task StartAsync()
    {
        _accepting = _streams.AcceptAsync(ServeAsync, _stopping.Token);
        _loop.Start();
        _ = WatchLoopAsync();
        return _active.Task;
    }

    public ValueTask<MembershipSnapshot> WaitForChangeAsync(long version, CancellationToken cancellationToken) =>
        _board.WaitAsync(version, cancellationToken);

    public void UpdateMetadata(MemberMetadata metadata)
    {
        var encoded = MembershipOptions.Encode(metadata);
        _loop.Post((core, now) => core.UpdateMetadata(encoded, now));
    }

    public void UpdateLoad(int inFlight, int queued)
    {
        // Told fifty times a second, mostly the same: an idle member neither wakes its loop for that nor allocates.
        var load = (long)Math.Max(0, inFlight) << 32 | (uint)Math.Max(0, queued);
        if (Interlocked.Exchange(ref _toldLoad, load) != load)
            Tell(load);

        void Tell(long load) => _loop.Post((core, now) => core.UpdateLoad((uint)(load >> 32), (uint)load, now));
    }

    public bool TryGetBeacon(string name, [NotNullWhen(true)] out LoadBeacon? beacon) => _beacons.TryGet(name, out beacon);

    public long CountDropped(DropCause cause) => _drops.Count(cause);

    public void UseKeys(GossipKeys keys)
    {
        if (keys.IsEmpty == _sealed)
            throw Check.Refused("gossip keys cannot be switched on or off in a running member: restart it");
        _loop.Post((core, _) => core.UseKeys(keys));
    }

    public void ProbeNow(string name)
    {
        var id = PacketHeader.MemberOf(name);
        _loop.Post((core, now) => core.ProbeNow(id, now));
    }

    public Task LeaveAsync(CancellationToken cancellationToken)
    {
        _loop.Post(static (core, now) => core.Leave(now));
        return Task.WhenAny(_goodbye.Task, _superseded.Task).WaitAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        await _stopping.CancelAsync();
        _signals.Dispose();
        _loop.Stop();
        await _loop.Ended.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _accepting;
        _board.Close();
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

    void ICoreEffects.Watch(int slot, PeerAddress to, ReadOnlySpan<byte> request) => _watches.Hold(slot, to, request);

    void ICoreEffects.Resolve(int seed) => _ = ResolveAsync(seed);

    void ICoreEffects.BeaconReceived(MemberRecord from, Codec.LoadUpdate load) => _beacons.Put(from, load);

    void ICoreEffects.Report(CoreEvent what, MemberRecord about)
    {
        if (what == CoreEvent.Died)
            Log.Died(_log, about.Name, about.Death, about.Accusers.Count, about.Generation, about.Incarnation, about.Address);
        else
            Log.Event(_log, what, about.Name, about.Generation, about.Incarnation, about.Address);
        switch (what)
        {
            case CoreEvent.Activated:
                _active.TrySetResult();
                break;
            case CoreEvent.NameTaken:
                _active.TrySetException(new MembershipException(
                    MembershipError.NameTaken, $"the name '{about.Name}' is in use: its process answers at {about.Address}"));
                break;
            case CoreEvent.Superseded:
                _superseded.TrySetResult(_board.ToMember(about, isSelf: false));
                break;
            case CoreEvent.Died or CoreEvent.Left:
                _beacons.Remove(about.Name);
                break;
            case CoreEvent.Goodbye:
                _goodbye.TrySetResult();
                break;
        }
    }

    private async Task ExchangeAsync(ExchangeToken token, PeerAddress to, byte[] request, TimeSpan timeout)
    {
        (var outcome, var reply) = await _streams.AskAsync(to, request, timeout, _stopping.Token);
        if (!_stopping.IsCancellationRequested)
            _loop.Post((core, now) => core.ExchangeEnded(token, outcome, to, reply, now));
    }

    private async Task ResolveAsync(int seed)
    {
        PeerAddress? found = null;
        try
        {
            using var deadline = new CancellationTokenSource(_exchangeTimeout, _time);
            var addresses = await _seeds[seed].ResolveAsync(_port.Family, deadline.Token);
            // A name with several addresses (a headless service) gives another one each time.
            if (addresses.Length > 0)
                found = PeerAddress.From(new IPEndPoint(addresses[(uint)Interlocked.Increment(ref _resolutions) % addresses.Length], _seeds[seed].Port));
        }
        catch (Exception error) when (error is SocketException or OperationCanceledException)
        {
            Log.NotResolved(_log, _seeds[seed].Host, error.Message);
        }
        if (!_stopping.IsCancellationRequested)
            _loop.Post((core, now) => core.SeedResolved(seed, found, now));
    }

    /// <summary>A bug in the core must not pass in silence: the member is gone for the others, and this process should know why.</summary>
    private async Task WatchLoopAsync()
    {
        try
        {
            await _loop.Ended;
        }
        catch (Exception error)
        {
            Log.LoopDied(_log, error);
            _active.TrySetException(error);
            _superseded.TrySetException(error);
            _goodbye.TrySetException(error);
        }
    }

    private Task<StreamReply> ServeAsync(PeerAddress from, byte[] request)
    {
        var reply = new TaskCompletionSource<StreamReply>(TaskCreationOptions.RunContinuationsAsynchronously);
        _loop.Post((core, now) =>
        {
            var bytes = core.Serve(from, request, now, out var mayStay);
            if (core.LastDrop != DropCause.None)
                _drops.Note(core.LastDrop, from, now);
            reply.SetResult(new StreamReply(bytes.IsEmpty ? null : bytes.ToArray(), mayStay));
        });
        return reply.Task;
    }

    private static partial class Log
    {
        [LoggerMessage(3000, LogLevel.Critical, "The gossip loop ended with an exception")]
        public static partial void LoopDied(ILogger logger, Exception error);

        [LoggerMessage(3001, LogLevel.Information, "{What}: {Name}, generation {Generation}, incarnation {Incarnation}, at {Address}")]
        public static partial void Event(ILogger logger, CoreEvent what, string name, ulong generation, uint incarnation, PeerAddress address);

        [LoggerMessage(3005, LogLevel.Information, "Died: {Name}, {Cause} ({Accusers} accusers), generation {Generation}, incarnation {Incarnation}, at {Address}")]
        public static partial void Died(ILogger logger, string name, DeathCause cause, int accusers, ulong generation, uint incarnation, PeerAddress address);

        [LoggerMessage(3002, LogLevel.Debug, "The kernel did not take a datagram to {Address}")]
        public static partial void NotSent(ILogger logger, PeerAddress address);

        [LoggerMessage(3003, LogLevel.Warning, "Seed {Host} does not resolve: {Reason}")]
        public static partial void NotResolved(ILogger logger, string host, string reason);
    }
}
