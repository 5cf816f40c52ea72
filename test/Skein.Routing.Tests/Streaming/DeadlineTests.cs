using System.Runtime.CompilerServices;
using Google.Protobuf;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;
using Skein.Routing.Tests.Support;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Streaming;

/// <summary>Requests whose clients say how long they wait for the answer.</summary>
public sealed class DeadlineTests
{
    private static readonly TimeSpan TwoSeconds = TimeSpan.FromSeconds(2);

    [Fact]
    public async Task Waiter_PastItsDeadline_LeavesTheQueueAndIsToldWhenToComeBack()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 1)));
        gateway.Link.Script = (_, _, _) => Act.Idle;
        await using var running = gateway.Sessions.Start(Gateway.Request());
        await using var waiting = gateway.Sessions.Start(With(deadlineMs: 2000));
        await using var patient = gateway.Sessions.Start(Gateway.Request());
        await gateway.UntilWaitingAsync(2);
        gateway.Time.Advance(TwoSeconds - TimeSpan.FromMilliseconds(1));
        Assert.Equal(2, gateway.Admission.Waiting);

        gateway.Time.Advance(TimeSpan.FromMilliseconds(1));

        var late = await FailureOfAsync(waiting);
        Assert.Equal(
            (Fault.DeadlineExceeded, "no slot for model 'm' came free within the deadline of the request, 2000 ms"), (late.Fault, late.Message));
        Assert.NotNull(late.RetryAfter);
        Assert.Equal(1, gateway.Admission.Waiting);
    }

    [Fact]
    public async Task Answer_PastItsDeadline_EndsWithAnErrorAndFreesItsSlot()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 1)));
        gateway.Link.Script = (_, _, at) => at == 3 ? Act.Idle : Act.Answer;
        await using var session = gateway.Sessions.Start(With(deadlineMs: 2000));
        Assert.True(await session.WaitToReadAsync(TestContext.Current.CancellationToken));

        gateway.Time.Advance(TwoSeconds);

        var late = await FailureOfAsync(session);
        Assert.Equal((Fault.DeadlineExceeded, null), (late.Fault, late.RetryAfter));
        await gateway.Link.Aborted.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        await session.DisposeAsync();
        Assert.Equal(0, gateway.Admission.Leased);
    }

    [Fact]
    public async Task Answer_CompleteBeforeItsDeadline_IsNotTouched()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 1)));
        await using var session = gateway.Sessions.Start(With(deadlineMs: 2000));
        var received = Assert.Single(await Received.AllAsync(session));

        gateway.Time.Advance(TwoSeconds);

        Assert.NotNull(received.Finish);
        Assert.False(await session.WaitToReadAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Call_PastItsDeadlineInTheQueue_IsToldWhenToComeBack()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 1)), link: new SlowCalls());
        IEngineCalls calls = gateway.Sessions;
        await using var running = await calls.StartAsync(Call(), TestContext.Current.CancellationToken);
        var waiting = calls.StartAsync(Call(deadlineMs: 2000), TestContext.Current.CancellationToken);
        await gateway.UntilWaitingAsync();

        gateway.Time.Advance(TwoSeconds);

        var late = await Assert.ThrowsAsync<FaultException>(() => waiting.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
        Assert.Equal(Fault.DeadlineExceeded, late.Fault);
        Assert.NotNull(late.RetryAfter);
        Assert.Equal(0, gateway.Admission.Waiting);
    }

    [Fact]
    public async Task Call_PastItsDeadlineInTheAnswer_EndsWithAnErrorAndFreesItsSlot()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 1)), link: new SlowCalls());
        IEngineCalls calls = gateway.Sessions;
        var running = await calls.StartAsync(Call(deadlineMs: 2000), TestContext.Current.CancellationToken);
        var reading = running.ReadAsync();

        gateway.Time.Advance(TwoSeconds);

        var late = await Assert.ThrowsAsync<FaultException>(
            () => reading.AsTask().WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
        Assert.Equal((Fault.DeadlineExceeded, null), (late.Fault, late.RetryAfter));
        await running.DisposeAsync();
        Assert.Equal(0, gateway.Admission.Leased);
    }

    private static GenerateRequest With(uint deadlineMs)
    {
        var request = Gateway.Request();
        request.DeadlineMs = deadlineMs;
        return request;
    }

    private static InvokeRequest Call(uint? deadlineMs = null)
    {
        var request = new InvokeRequest { Model = "m", Path = "/v1/embeddings" };
        if (deadlineMs is { } allowed)
            request.DeadlineMs = allowed;
        return request;
    }

    private static async Task<FaultException> FailureOfAsync(IGenerationSession session)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30), TimeProvider.System);
        return await Assert.ThrowsAsync<FaultException>(async () =>
        {
            while (await session.WaitToReadAsync(deadline.Token))
            {
                while (session.TryRead(out _))
                {
                }
            }
        });
    }

    /// <summary>Answers calls with a head, and never with the rest.</summary>
    private sealed class SlowCalls : IReplicaLink
    {
        public async IAsyncEnumerable<InvokeFrame> InvokeAsync(
            Replica replica, InvokeRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            yield return new InvokeFrame { Start = new InvokeStart { Status = 200 } };
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
            yield return new InvokeFrame { Body = ByteString.Empty };
        }

        public IAsyncEnumerable<GenerateFrame> GenerateAsync(Replica replica, GenerateRequest request, CancellationToken cancellationToken) =>
            throw new NotSupportedException();

        public Task ContinueAsync(Replica replica, ContinueRequest request, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task ProbeAsync(Replica replica, CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
