using System.Collections.Concurrent;
using Skein.Membership.Core;
using Skein.Membership.Codec;

namespace Skein.Membership.Transport;

/// <summary>Drives the core on a thread of its own, so that a busy thread pool does not make this member accuse others.</summary>
internal sealed class GossipLoop(GossipPort port, TimeProvider time, MembershipCore core, SnapshotPublisher snapshots, DropLog drops)
{
    private readonly ConcurrentQueue<Action<MembershipCore, TimeSpan>> _commands = new();
    private readonly byte[] _datagram = new byte[WireLimits.Datagram + 1];
    private readonly long _origin = time.GetTimestamp();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _stopping;
    private int _woken;
    private TimeSpan _publishAt;

    private const int Batch = 64;

    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan SnapshotInterval = TimeSpan.FromMilliseconds(10);

    /// <summary>Completes when the thread ends; fails with the exception that ended it.</summary>
    public Task Ended => _ended.Task;

    public TimeSpan Now => time.GetElapsedTime(_origin);

    public void Start()
    {
        core.Start(Now);
        snapshots.Publish(core, Now);
        new Thread(Run) { IsBackground = true, Name = "skein-gossip" }.Start();
    }

    public void Post(Action<MembershipCore, TimeSpan> command)
    {
        _commands.Enqueue(command);
        if (!_stopping && Interlocked.Exchange(ref _woken, 1) == 0)
            port.Wake();
    }

    public void Stop()
    {
        _stopping = true;
        port.Wake();
    }

    private void Run()
    {
        try
        {
            while (!_stopping)
                Turn();
            _ended.SetResult();
        }
        catch (Exception error)
        {
            _ended.SetException(error);
        }
    }

    private void Turn()
    {
        var wait = UntilNext();
        // Received datagrams go before due timers: one may be the reply whose timeout is due.
        for (var i = 0; i < Batch && (i == 0 || core.NextDue <= Now) && port.Wait(wait); i++)
        {
            if (port.TryReceive(_datagram, out var length, out var from))
                Handle(_datagram.AsSpan(0, length), from);
            wait = TimeSpan.Zero;
        }
        Volatile.Write(ref _woken, 0);
        while (_commands.TryDequeue(out var command))
            command(core, Now);
        core.Advance(Now);
        if (snapshots.IsStale(core) && Now >= _publishAt)
        {
            snapshots.Publish(core, Now);
            _publishAt = Now + SnapshotInterval;
        }
    }

    private void Handle(ReadOnlySpan<byte> datagram, PeerAddress from)
    {
        var now = Now;
        // Datagrams of the wake-up length carry nothing.
        if (datagram.Length > GossipPort.WakeBytes && !core.Receive(from, datagram, now) && core.LastDrop != DropCause.None)
            drops.Add(core.LastDrop, from, now);
    }

    private TimeSpan UntilNext()
    {
        var next = core.NextDue;
        if (snapshots.IsStale(core) && _publishAt < next)
            next = _publishAt;
        // The kernel rounds down to milliseconds: without rounding up, the loop would spin for the rest.
        var milliseconds = Math.Ceiling((next - Now).TotalMilliseconds);
        return TimeSpan.FromMilliseconds(Math.Clamp(milliseconds, 0, LongestWait.TotalMilliseconds));
    }
}
