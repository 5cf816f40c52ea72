using System.Collections.Concurrent;
using Microsoft.Extensions.Time.Testing;
using Skein.Gateway.Links;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Links;

public sealed class DescribePollerTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly Source _source = new();
    private readonly Describer _describer = new();
    private readonly Book _book = new();
    private readonly FleetTracker _fleet;
    private readonly DescribePoller _poller;
    private readonly BackgroundTasks _tasks = new();

    public DescribePollerTests()
    {
        _fleet = new FleetTracker(_source);
        _poller = new DescribePoller(_fleet, _describer.DescribeAsync, _book.Learn, _tasks, _time);
    }

    public void Dispose()
    {
        _poller.Dispose();
        _tasks.Dispose();
        _fleet.Dispose();
    }

    [Fact]
    public async Task NewLife_IsAskedOnce_AndItsAnswerKept()
    {
        _source.Set(Replica("a", 1));
        await UntilAsync(() => _book.Learnt.Count == 1, "an answer in the book");

        _source.Set(Replica("a", 1), Replica("b", 1));
        await UntilAsync(() => _book.Learnt.Count == 2, "the answer of the new replica in the book");

        Assert.Equal(["a", "b"], _describer.Asked);
        Assert.Equal(["a", "b"], _book.Learnt.Select(entry => entry.Asked.Id.Name));
    }

    [Fact]
    public async Task ModelsChanged_SaysTheDigest_AsksAgain()
    {
        _source.Set(Replica("a", digest: 1));
        _source.Set(Replica("a", digest: 1));
        _source.Set(Replica("a", digest: 2));
        await UntilAsync(() => _book.Learnt.Count == 2, "two answers in the book");

        Assert.Equal([1UL, 2UL], _book.Learnt.Select(entry => entry.Asked.ModelsDigest));
    }

    [Fact]
    public async Task NoAnswer_AsksAgainUntilThereIsOne()
    {
        _describer.Answer = (_, _) => _describer.Asked.Count <= 5
            ? Task.FromException<DescribeResponse>(new FaultException(Fault.Unreachable, "refused"))
            : Task.FromResult(new DescribeResponse());
        _source.Set(Replica("a", 1));

        await UntilAsync(() => _book.Learnt.Count == 1, "an answer in the book", TimeSpan.FromMilliseconds(100));

        Assert.Equal(6, _describer.Asked.Count);
        // 100 + 200 + 400 + 800 + 1600 ms of pauses: the retries back off.
        Assert.InRange(_time.GetUtcNow() - _time.Start, TimeSpan.FromSeconds(3.1), TimeSpan.FromDays(1));
    }

    [Fact]
    public async Task Silence_IsGivenUpAndAskedAgain()
    {
        _describer.Answer = async (_, cancellation) =>
        {
            if (_describer.Asked.Count == 1)
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellation);
            return new DescribeResponse();
        };
        _source.Set(Replica("a", 1));

        await UntilAsync(() => _book.Learnt.Count == 1, "an answer in the book", TimeSpan.FromMilliseconds(100));

        Assert.Equal(2, _describer.Asked.Count);
    }

    [Fact]
    public async Task ReplicaThatLeft_IsAskedNoMore()
    {
        _describer.Answer = (_, _) => Task.FromException<DescribeResponse>(new FaultException(Fault.Unreachable, "refused"));
        _source.Set(Replica("a", 1));
        _source.Set(Replica("b", 1));
        await UntilAsync(() => _describer.Asked.Count(name => name == "b") == 4, "four questions to b", TimeSpan.FromMilliseconds(100));

        Assert.InRange(_describer.Asked.Count(name => name == "a"), 1, 2);
    }

    /// <summary>A poll that threw ended without a log line, and the replica's models stayed unknown.</summary>
    [Fact]
    public async Task Poll_Throws_FailsTheService()
    {
        await _tasks.StartAsync(TestContext.Current.CancellationToken);
        _describer.Answer = (_, _) => throw new InvalidOperationException("a bug");

        _source.Set(Replica("a", 1));

        var failure = await Assert.ThrowsAsync<InvalidOperationException>(() => _tasks.ExecuteTask!.WaitAsync(TimeSpan.FromSeconds(30)));
        Assert.Equal("a bug", failure.Message);
    }

    private async Task UntilAsync(Func<bool> holds, string what, TimeSpan step = default)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30), TimeProvider.System);
        while (!holds())
        {
            Assert.False(deadline.IsCancellationRequested, $"no {what} within 30 s");
            _time.Advance(step);
            await Task.Yield();
        }
    }

    private static ReplicaDescription Replica(string name, ulong digest) =>
        new() { Id = new ReplicaId(name, 1), Address = name, Models = ["m"], Slots = 1, ModelsDigest = digest };

    private sealed class Source : IFleetSource
    {
        public event Action? Changed;

        public FleetView Current { get; private set; } = FleetView.Empty;

        public void Set(params ReplicaDescription[] replicas)
        {
            Current = new FleetView(replicas, [], Complete: true);
            Changed?.Invoke();
        }
    }

    private sealed class Describer
    {
        public ConcurrentQueue<string> Asked { get; } = [];

        public Func<Routing.Fleet.Replica, CancellationToken, Task<DescribeResponse>> Answer { get; set; } = (_, _) => Task.FromResult(new DescribeResponse());

        public Task<DescribeResponse> DescribeAsync(Routing.Fleet.Replica replica, CancellationToken cancellationToken)
        {
            Asked.Enqueue(replica.Id.Name);
            return Answer(replica, cancellationToken);
        }
    }

    private sealed class Book
    {
        public ConcurrentQueue<(ReplicaDescription Asked, DescribeResponse Answer)> Learnt { get; } = [];

        public void Learn(ReplicaDescription asked, DescribeResponse answer) => Learnt.Enqueue((asked, answer));
    }
}
