using System.Collections.Concurrent;
using Skein.Membership.Core;
using Skein.Membership.Codec;

namespace Skein.Membership.Transport;

/// <summary>
/// The one thread that feeds the core: datagrams first, then commands, then timers. It is a thread of its own, not one of the pool: whatever
/// keeps the pool busy must not make this member accuse others.
/// </summary>
internal sealed class GossipLoop(GossipPort port, TimeProvider time, MembershipCore core, SnapshotPublisher board, DropLog drops)
{
    private readonly ConcurrentQueue<Action<MembershipCore, TimeSpan>> _commands = new();
    private readonly byte[] _datagram = new byte[WireLimits.Datagram + 1];
    private readonly long _origin = time.GetTimestamp();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _stopping;
    private int _woken;
    private long _delay;
    private TimeSpan _publishAt;

    /// <summary>Datagrams taken in a row before timers get their turn.</summary>
    private const int Batch = 64;

    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(1);

    /// <summary>Snapshots of large groups are built at most this often.</summary>
    private static readonly TimeSpan SnapshotInterval = TimeSpan.FromMilliseconds(10);

    /// <summary>Ends with the thread; carries the exception that ended it, if one did.</summary>
    public Task Ended => _ended.Task;

    public TimeSpan Now => time.GetElapsedTime(_origin);

    public void Start()
    {
        core.Start(Now);
        board.Publish(core, Now);
        new Thread(Run) { IsBackground = true, Name = "skein-gossip" }.Start();
    }

    /// <summary>Runs on the loop, soon. Safe from any thread.</summary>
    public void Post(Action<MembershipCore, TimeSpan> command)
    {
        _commands.Enqueue(command);
        if (!_stopping && Interlocked.Exchange(ref _woken, 1) == 0)
            port.Wake();
    }

    /// <summary>Something in this process came late; looked at with the next turn. Safe from any thread.</summary>
    public void NoteDelay(TimeSpan delay) => Interlocked.Exchange(ref _delay, delay.Ticks);

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
        // Where timers are due, what already waits in the socket goes first: it may be the answer that a timer is about to miss.
        for (var i = 0; i < Batch && (i == 0 || core.NextDue <= Now) && port.Wait(wait); i++)
        {
            if (port.TryReceive(_datagram, out var length, out var from))
                Take(_datagram.AsSpan(0, length), from);
            wait = TimeSpan.Zero;
        }
        if (Interlocked.Exchange(ref _delay, 0) is > 0 and var delay)
            core.NoteDelay(TimeSpan.FromTicks(delay), Now);
        Volatile.Write(ref _woken, 0);
        while (_commands.TryDequeue(out var command))
            command(core, Now);
        core.Advance(Now);
        if (board.IsStale(core) && Now >= _publishAt)
        {
            board.Publish(core, Now);
            _publishAt = Now + SnapshotInterval;
        }
    }

    private void Take(ReadOnlySpan<byte> datagram, PeerAddress from)
    {
        var now = Now;
        // Whatever is as short as that is our own call to wake up, or worth as little.
        if (datagram.Length > GossipPort.WakeBytes && !core.Receive(from, datagram, now) && core.LastDrop != DropCause.None)
            drops.Note(core.LastDrop, from, now);
    }

    private TimeSpan UntilNext()
    {
        var next = core.NextDue;
        if (board.IsStale(core) && _publishAt < next)
            next = _publishAt;
        // The kernel counts in milliseconds and rounds down: the rest would be spent spinning.
        var milliseconds = Math.Ceiling((next - Now).TotalMilliseconds);
        return TimeSpan.FromMilliseconds(Math.Clamp(milliseconds, 0, LongestWait.TotalMilliseconds));
    }
}
