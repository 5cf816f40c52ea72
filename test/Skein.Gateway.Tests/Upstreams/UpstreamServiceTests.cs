using System.Net;
using System.Net.Http.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Skein.Engines;
using Skein.Gateway.Admin;
using Skein.Gateway.Group;
using Skein.Gateway.Links.InProcess;
using Skein.Gateway.Tests.Links;
using Skein.Gateway.Upstreams;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;

namespace Skein.Gateway.Tests.Upstreams;

/// <summary>Upstreams that are added and removed while a whole gateway runs. The gateway has no group: only upstreams serve.</summary>
public sealed class UpstreamServiceTests : UpstreamGateway
{
    [Fact]
    public async Task Add_ServerAnswers_ServesRequests()
    {
        _gateway.Upstreams.Add(Of("host:1", _engine) with { Weight = 2.5 });
        await FleetAsync("host:1");
        _engine.Of("Hello").Say(KeyedEngine.Start, KeyedEngine.Token(0), KeyedEngine.Finish);

        Assert.Contains("\"text\":\"x\"", await AskAsync("Hello"));
        Assert.Equal((2.5, "keyed"), (Assert.Single(Fleet.Current.Replicas).Description.Weight, Status("host:1").Kind));
        Assert.Equal(["host:1"], _gateway.Upstreams.Names);
    }

    [Fact]
    public async Task Add_ServerDoesNotAnswerAtFirst_IsTriedUntilItDoes()
    {
        var tries = 0;
        _gateway.Upstreams.Add(Of("host:1", _engine) with
        {
            ConnectAsync = _ => ++tries == 1
                ? throw new FaultException(Fault.Unreachable, "connection refused")
                : Task.FromResult<IInferenceEngine>(_engine),
        });

        await FleetAsync("host:1");

        Assert.Equal(2, tries);
    }

    [Theory]
    [InlineData("")]
    [InlineData("with space")]
    [InlineData("host:1")]
    public void Add_NameThatCannotBe_IsRefusedAndSaysWhy(string name)
    {
        _gateway.Upstreams.Add(Of("host:1", _engine));

        var refusal = Assert.Throws<ArgumentException>(() => _gateway.Upstreams.Add(Of(name, _engine)));

        Assert.Contains($"'{name}'", refusal.Message);
    }

    /// <summary>Each entry of one server had its own bound of slots.</summary>
    [Theory]
    [InlineData("http://host:8000/")]
    [InlineData("http://HOST:8000/v1")]
    [InlineData("http://host:8000/v1/")]
    public void Add_ServerOfAnotherUpstream_IsRefused(string url)
    {
        _gateway.Upstreams.Add(Of("one", _engine) with { Url = new Uri("http://host:8000") });

        var refusal = Assert.Throws<ArgumentException>(() => _gateway.Upstreams.Add(Of("two", _engine) with { Url = new Uri(url) }));

        Assert.StartsWith("the upstream 'one' is the same server", refusal.Message, StringComparison.Ordinal);
        Assert.Equal(["one"], _gateway.Upstreams.Names);
    }

    [Fact]
    public async Task Add_NameOfOneThatLeaves_ServesBesideIt()
    {
        var next = new KeyedEngine { Slots = 5 };
        _gateway.Upstreams.Add(Of("host:1", _engine));
        await FleetAsync("host:1");
        _engine.Of("old").Say(KeyedEngine.Start, KeyedEngine.Token(0));
        var old = AskAsync("old");
        await UntilAsync(() => _engine.Of("old").Said == 2, "a running stream");

        var removing = _gateway.Upstreams.RemoveAsync("host:1", Deadline, TestContext.Current.CancellationToken);
        _gateway.Upstreams.Add(Of("host:1", next));
        await FleetAsync("host:1", "host:1");
        next.Of("new").Say(KeyedEngine.Start, KeyedEngine.Token(0), KeyedEngine.Finish);

        Assert.Contains("\"text\":\"x\"", await AskAsync("new"), StringComparison.Ordinal);
        Assert.Equal(5u, Status("host:1").Slots);
        _engine.Of("old").Say(KeyedEngine.Token(1), KeyedEngine.Finish);
        next.Of("old").Say(KeyedEngine.Start, KeyedEngine.Token(0), KeyedEngine.Token(1), KeyedEngine.Finish);
        Assert.Contains("\"finish_reason\":\"length\"", await old, StringComparison.Ordinal);
        await removing.WaitAsync(Deadline, TestContext.Current.CancellationToken);
        await FleetAsync("host:1");
    }

    /// <summary>A server that takes one request at a time ends the one that runs when it gets another one.</summary>
    [Fact]
    public async Task Add_ServerOfOneThatLeavesHasOneSlot_WaitsForItsLastStream()
    {
        var (server, next) = (new KeyedEngine { Slots = 1 }, new KeyedEngine { Slots = 1 });
        var url = new Uri("http://host:8000");
        _gateway.Upstreams.Add(Of("host:1", server) with { Url = url });
        await FleetAsync("host:1");
        server.Of("old").Say(KeyedEngine.Start, KeyedEngine.Token(0));
        var old = AskAsync("old");
        await UntilAsync(() => server.Of("old").Said == 2, "a running stream");
        bool? wasStopped = null;

        var removing = _gateway.Upstreams.RemoveAsync("host:1", Deadline, TestContext.Current.CancellationToken);
        _gateway.Upstreams.Add(Of("host:1", next) with
        {
            Url = url, ConnectAsync = _ =>
            {
                wasStopped ??= server.Of("old").Stopped.IsCompleted;
                return Task.FromResult<IInferenceEngine>(next);
            },
        });
        server.Of("old").Say(KeyedEngine.Token(1), KeyedEngine.Finish);

        Assert.Contains("\"text\":\"xx\"", await old, StringComparison.Ordinal);
        await removing.WaitAsync(Deadline, TestContext.Current.CancellationToken);
        await FleetAsync("host:1");
        Assert.True(wasStopped);
    }

    [Fact]
    public async Task Remove_NobodyElseServes_RunningStreamFinishesAndNoOtherBegins()
    {
        _gateway.Upstreams.Add(Of("host:1", _engine));
        await FleetAsync("host:1");
        _engine.Of("running").Say(KeyedEngine.Start, KeyedEngine.Token(0));
        var running = AskAsync("running");
        await UntilAsync(() => _engine.Of("running").Said == 2, "a running stream");

        var removing = _gateway.Upstreams.RemoveAsync("host:1", Deadline, TestContext.Current.CancellationToken);
        await UntilAsync(() => Fleet.Current.Replicas.All(replica => replica.Draining), "a drain");
        Assert.False(removing.IsCompleted);
        _engine.Of("running").Say(KeyedEngine.Token(1), KeyedEngine.Finish);

        Assert.Contains("\"text\":\"xx\"", await running);
        await removing.WaitAsync(Deadline);
        await FleetAsync();
        Assert.Empty(_gateway.Upstreams.Names);
    }

    [Fact]
    public async Task Remove_AnotherOneServes_StreamIsHandedOver()
    {
        var other = new KeyedEngine { Slots = 3 };
        _gateway.Upstreams.Add(Of("host:1", _engine));
        await FleetAsync("host:1");
        _engine.Of("moving").Say(KeyedEngine.Start, KeyedEngine.Token(0));
        var moving = AskAsync("moving");
        await UntilAsync(() => _engine.Of("moving").Said == 2, "a running stream");
        _gateway.Upstreams.Add(Of("host:2", other));
        await FleetAsync("host:1", "host:2");

        // The stream of the first server has stopped: only a hand-over or the timeout can end it.
        other.Of("moving").Say(KeyedEngine.Start, KeyedEngine.Token(0), KeyedEngine.Token(1), KeyedEngine.Finish);
        await _gateway.Upstreams.RemoveAsync("host:1", TimeSpan.Zero, TestContext.Current.CancellationToken).WaitAsync(Deadline);

        Assert.Contains("\"finish_reason\":\"length\"", await moving);
        await FleetAsync("host:2");
    }

    [Fact]
    public async Task Remove_UnknownName_IsRefusedAndNamesTheOthers()
    {
        _gateway.Upstreams.Add(Of("host:1", _engine));

        var refusal = await Assert.ThrowsAsync<ArgumentException>(() => _gateway.Upstreams.RemoveAsync("host:9", Deadline));

        Assert.StartsWith("there is no upstream 'host:9'; allowed: host:1", refusal.Message);
    }

    /// <summary>An exception in one engine stopped the whole gateway.</summary>
    [Fact]
    public async Task Connect_ThrowsOnce_IsTriedAgainAndServed()
    {
        var tries = 0;

        _gateway.Upstreams.Add(Of("host:1", _engine) with
        {
            ConnectAsync = _ => ++tries == 1 ? throw new InvalidOperationException("a bug") : Task.FromResult<IInferenceEngine>(_engine),
        });

        await FleetAsync("host:1");
        Assert.Equal(2, tries);
    }

    [Fact]
    public async Task Run_ServerIsDown_IsAskedFourTimesASecond()
    {
        var time = new RecordingTime();
        var tries = 0;
        using var fleet = new UpstreamFleet(new GroupFleet(), TimeProvider.System);
        var row = fleet.Add("host:1", "upstream-1", []);
        using var link = new InProcessReplicaLink(time, NullLogger<InProcessReplicaLink>.Instance);
        using var lateness = new ProcessLateness(TimeProvider.System, TimeSpan.FromMilliseconds(200));
        var upstream = new Upstream(
            Of("host:1", _engine) with
            {
                ConnectAsync = _ =>
                {
                    tries++;
                    throw new FaultException(Fault.Unreachable, "connection refused");
                },
            },
            row, fleet, link, time, NullLoggerFactory.Instance, lateness);
        using var stop = new CancellationTokenSource();

        var running = upstream.RunAsync(stop.Token);
        await UntilAsync(() =>
        {
            time.Advance(TimeSpan.FromMilliseconds(250));
            return tries >= 12;
        }, "twelve attempts");
        await stop.CancelAsync();
        await running;

        Assert.All(time.Pauses, pause => Assert.Equal(TimeSpan.FromMilliseconds(250), pause));
    }

    [Fact]
    public async Task Add_SlotsOfTheEngineChange_FleetAndStatusFollow()
    {
        var adaptive = new AdaptiveEngine();
        _gateway.Upstreams.Add(Of("host:1", _engine) with { ConnectAsync = _ => Task.FromResult<IInferenceEngine>(adaptive) });
        await FleetAsync("host:1");
        Assert.Equal(64u, Status("host:1").Slots);
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        var first = http.PostAsJsonAsync($"http://{_gateway.Http}/v1/completions", new { model = "m", prompt = "a", max_tokens = 9 });
        await UntilAsync(() => adaptive.Running == 1, "a first request");

        // The second request ends the first, whose stream then ends without a finish.
        _ = http.PostAsJsonAsync($"http://{_gateway.Http}/v1/completions", new { model = "m", prompt = "b", max_tokens = 9 });

        await UntilAsync(() => Status("host:1").Slots == 1, "one slot in the status");
        await UntilAsync(() => Assert.Single(Fleet.Current.Replicas).Slots == 1, "one slot in the fleet");
        adaptive.Finish();
        await first;
    }

    [Theory]
    [InlineData(0, 2000)]
    [InlineData(1, 299)]
    public void Add_OptionOutOfRange_IsRefused(int slots, int timeoutMs) =>
        Assert.Throws<ArgumentException>(() => _gateway.Upstreams.Add(
            Of("host:1", _engine) with { Slots = slots, EngineTimeout = TimeSpan.FromMilliseconds(timeoutMs) }));

    /// <summary>Remembers for how long it was asked to wait.</summary>
    private sealed class RecordingTime : FakeTimeProvider
    {
        public System.Collections.Concurrent.ConcurrentQueue<TimeSpan> Pauses { get; } = [];

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            if (dueTime != Timeout.InfiniteTimeSpan)
                Pauses.Enqueue(dueTime);
            return base.CreateTimer(callback, state, dueTime, period);
        }
    }

    /// <summary>As llama-cpp-python: the next request ends the one before without a finish. It reports no number of slots.</summary>
    private sealed class AdaptiveEngine : IInferenceEngine
    {
        private readonly TaskCompletionSource _finish = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private TaskCompletionSource _next = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _running;

        public string Kind => "openai";

        public int Running => Volatile.Read(ref _running);

        public void Finish() => _finish.TrySetResult();

        public ValueTask<EngineDescription> DescribeAsync(CancellationToken cancellationToken) =>
            ValueTask.FromResult(new EngineDescription([new ModelDescription { Name = "m" }], Slots: null));

        public async IAsyncEnumerable<GenerateFrame> GenerateAsync(
            GenerateRequest request, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
        {
            var interrupted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            Interlocked.Exchange(ref _next, interrupted).TrySetResult();
            yield return KeyedEngine.Start;
            yield return KeyedEngine.Token(0);
            Interlocked.Increment(ref _running);
            if (await Task.WhenAny(interrupted.Task, _finish.Task).WaitAsync(cancellationToken) == interrupted.Task && !_finish.Task.IsCompleted)
                throw new FaultException(Fault.NoFinish, "the stream ended without a finish_reason");
            yield return KeyedEngine.Finish;
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
