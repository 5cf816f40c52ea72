using Skein.Protocol;
using Skein.Routing.Admission;
using Skein.Routing.Streaming;
using Skein.Routing.Tests.Support;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Streaming;

/// <summary>A client that disconnects, whatever its session is waiting for.</summary>
public sealed class CancelledSessionTests
{
    /// <summary>Two choices, each of which loses two replicas: cancelled while an attempt waits for its start, for each of its tokens, and for its finish.</summary>
    [Fact]
    public async Task Dispose_AtEveryAwaitOfTheAttempts_GivesAllSlotsBack()
    {
        var reachedAll = false;
        var points = 0;
        for (; !reachedAll; points++)
        {
            using var gateway = new Gateway(new StaticFleet([.. "abcdef".Select(name => Replica(name.ToString(), slots: 1))]));
            var calls = 0;
            var cancelled = points;
            var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            gateway.Link.Script = (_, attempt, index) =>
            {
                if (Interlocked.Increment(ref calls) - 1 != cancelled)
                    return (attempt, index) is (1, 3) ? Act.BreakConnection : (attempt, index) is (2, 5) ? Act.FailEngine : Act.Answer;
                reached.SetResult();
                return Act.Hang;
            };
            var session = gateway.Sessions.Start(Gateway.Request(tokens: 8, n: 2));
            var reading = ReadAsync(session);

            reachedAll = await Task.WhenAny(reached.Task, reading) == reading;
            await session.DisposeAsync();
            await reading;

            MustBeEmpty(gateway);
            Assert.Equal(0, gateway.Link.Running);
        }
        // Start, tokens and finish of the three attempts of two choices.
        Assert.InRange(points, 20, 200);
    }

    [Fact]
    public async Task Dispose_WhileItWaitsForItsFirstSlot_LeavesTheQueueAtOnce()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 1)));
        using var held = await HoldAsync(gateway);
        var session = gateway.Sessions.Start(Gateway.Request());
        var reading = ReadAsync(session);
        await gateway.UntilWaitingAsync();

        await session.DisposeAsync();
        await reading;

        Assert.Equal(0, gateway.Admission.Waiting);
        held.Release(fault: null);
        MustBeEmpty(gateway);
        Assert.Empty(gateway.Link.Attempts);
    }

    [Fact]
    public async Task Dispose_WhileItWaitsForAnotherReplica_LeavesTheQueueAtOnce()
    {
        var source = new StaticFleet(Replica("a", slots: 1));
        using var gateway = new Gateway(source);
        gateway.Link.Script = (_, _, index) => index == 3 ? Act.BreakConnection : Act.Answer;
        gateway.Link.Gate = System.Threading.Channels.Channel.CreateUnbounded<int>();
        var session = gateway.Sessions.Start(Gateway.Request());
        var reading = ReadAsync(session);
        gateway.Link.Gate.Writer.TryWrite(0);
        source.Set(Replica("a", slots: 1), Replica("b", slots: 1));
        using var held = await HoldAsync(gateway);
        for (var i = 1; i < 4; i++)
            gateway.Link.Gate.Writer.TryWrite(i);
        await gateway.UntilWaitingAsync();

        await session.DisposeAsync();
        await reading;

        Assert.Equal(0, gateway.Admission.Waiting);
        held.Release(fault: null);
        MustBeEmpty(gateway);
        Assert.Equal(0, gateway.Link.Running);
    }

    /// <summary>The slot is granted and the wait is cancelled at the same moment: the waiter gets it or gives it back.</summary>
    [Fact]
    public async Task Acquire_CancelledWhileASlotIsGranted_LeaksNone()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 1)));
        for (var round = 0; round < 2_000; round++)
        {
            var held = await HoldAsync(gateway, round);
            using var cancel = new CancellationTokenSource();
            var waiting = gateway.Admission.AcquireAsync(Request(100_000 + round), cancel.Token).AsTask();

            await Task.WhenAll(Task.Run(() => held.Release(fault: null)), Task.Run(cancel.Cancel));

            await waiting.ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            Assert.True(waiting.IsCanceled || waiting.IsCompletedSuccessfully, $"{waiting.Status}: {waiting.Exception}");
            if (waiting.IsCompletedSuccessfully)
                (await waiting).Release(fault: null);
            MustBeEmpty(gateway);
        }
    }

    private static Task<ReplicaLease> HoldAsync(Gateway gateway, int number = 1_000_000) => gateway.Admission.AcquireAsync(Request(number), default).AsTask();

    private static AdmissionRequest Request(int number) => new("m", new Arrival(0, number, 0), Displaced: false, WaitingSince: null, "", []);

    private static async Task ReadAsync(IGenerationSession session)
    {
        try
        {
            while (await session.WaitToReadAsync(CancellationToken.None))
            {
                while (session.TryRead(out _))
                {
                }
            }
        }
        catch (Exception error) when (error is OperationCanceledException or ObjectDisposedException or FaultException { Fault: Fault.Cancelled })
        {
            // The session was disposed.
        }
    }

    private static void MustBeEmpty(Gateway gateway)
    {
        Assert.Equal((0, 0), (gateway.Admission.Leased, gateway.Admission.Waiting));
        Assert.All(gateway.Fleet.Current.Replicas, replica => Assert.Equal(0, replica.Leased));
    }
}
