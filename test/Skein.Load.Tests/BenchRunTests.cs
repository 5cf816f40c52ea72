using Microsoft.Extensions.Time.Testing;
using Skein.Load.Measuring;
using Skein.Load.Targets;

namespace Skein.Load.Tests;

public class BenchRunTests
{
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public async Task Run_KnownTimes_AreMeasuredToTheMillisecond()
    {
        var target = new ScriptedTarget(answer =>
        {
            _time.Advance(TimeSpan.FromMilliseconds(30));
            answer.OnTokens("a");
            _time.Advance(TimeSpan.FromMilliseconds(20));
            answer.OnTokens("b");
            _time.Advance(TimeSpan.FromMilliseconds(50));
            answer.OnUsage(2);
            return Task.CompletedTask;
        });

        var report = await RunAsync(target, requests: 10, concurrency: 1);

        Assert.Equal(30, report.TimeToFirstTokenMs.P50, tolerance: 0.05);
        Assert.Equal(20, report.InterTokenMs.Max, tolerance: 0.05);
        Assert.Equal(100, report.EndToEndMs.P99, tolerance: 0.1);
        Assert.Equal(1, report.DurationSeconds, tolerance: 0.001);
        Assert.Equal((20, 10), (report.TokensPerSecond, report.RequestsPerSecond));
    }

    [Fact]
    public async Task Run_ClosedLoop_KeepsAsManyRunningAsAskedFor()
    {
        const int Concurrency = 7;
        var running = 0;
        var most = 0;
        var full = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var target = new ScriptedTarget(async answer =>
        {
            var now = Interlocked.Increment(ref running);
            most = Math.Max(most, now);
            if (now == Concurrency)
            {
                full.TrySetResult();
            }

            await full.Task;
            await Task.Yield();
            Interlocked.Decrement(ref running);
            answer.OnTokens("x");
        });

        var report = await RunAsync(target, requests: 50, Concurrency, prompts: 20);

        Assert.Equal((50, Concurrency), (report.Succeeded, most));
    }

    [Fact]
    public async Task Run_WarmUp_IsNotMeasured()
    {
        var asked = 0;
        var target = new ScriptedTarget(answer =>
        {
            asked++;
            answer.OnTokens("x");
            return Task.CompletedTask;
        });

        var report = await RunAsync(target, requests: 5, concurrency: 1, prompts: 3, warmUp: 4);

        Assert.Equal((3 + 4 + 5, 5), (asked, report.Requests));
    }

    [Fact]
    public async Task Run_MoreKindsOfErrorsThanAreKept_CountsTheRestAsOther()
    {
        var asked = 0;
        var target = new ScriptedTarget(_ => asked++ == 0
            ? Task.CompletedTask
            : throw new BenchRequestException($"kind {asked}", new string('x', 10_000)));

        var report = await RunAsync(target, requests: 100, concurrency: 1);

        Assert.Equal(65, report.Errors.Count);
        Assert.Equal(36, report.Errors[BenchErrors.Other]);
        Assert.Equal(100, report.Errors.Values.Sum());
        Assert.Equal(5, report.Examples.Count);
        Assert.All(report.Examples, example => Assert.InRange(example.Length, 1, 400));
    }

    [Fact]
    public async Task Run_EndlessAnswer_IsGivenUp()
    {
        var asked = 0;
        var large = new string('x', 1 << 20);
        var target = new ScriptedTarget(answer =>
        {
            for (var i = 0; asked > 0; i++)
            {
                answer.OnTokens(large);
            }

            asked++;
            return Task.CompletedTask;
        });

        Assert.Equal(1, (await RunAsync(target, requests: 1, concurrency: 1)).Errors[BenchErrors.Malformed]);
    }

    [Fact]
    public async Task Run_Cancelled_Ends()
    {
        using var cancel = new CancellationTokenSource();
        var target = new ScriptedTarget(async _ =>
        {
            await cancel.CancelAsync();
            cancel.Token.ThrowIfCancellationRequested();
        });

        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => Bench.MeasureAsync(Options(10, 2, 1, 0), target, _time, onProgress: null, cancel.Token));
    }

    [Theory]
    [InlineData("ftp://host", "Target is ftp://host/; allowed: http, https, grpc and grpcs URLs")]
    [InlineData("host:8080", "Target is host:8080; allowed: http, https, grpc and grpcs URLs")]
    [InlineData("relative", "Target is relative; allowed: http, https, grpc and grpcs URLs")]
    public async Task Run_UnknownTarget_IsRefused(string target, string message)
    {
        var refusal = await Assert.ThrowsAsync<ArgumentException>(
            () => Bench.RunAsync(new BenchOptions { Target = new Uri(target, UriKind.RelativeOrAbsolute) }, _time));

        Assert.StartsWith(message, refusal.Message);
    }

    [Fact]
    public void Prompts_AreDistinct() => Assert.Equal(1000, BenchPrompts.Create(1000).Distinct().Count());

    private Task<BenchReport> RunAsync(IBenchTarget target, int requests, int concurrency, int prompts = 1, int warmUp = 0) =>
        Bench.MeasureAsync(Options(requests, concurrency, prompts, warmUp), target, _time, onProgress: null, CancellationToken.None);

    private static BenchOptions Options(int requests, int concurrency, int prompts, int warmUp) => new()
    {
        Target = new Uri("http://nowhere"),
        Requests = requests,
        Concurrency = concurrency,
        Prompts = BenchPrompts.Create(prompts),
        WarmUpRequests = warmUp,
    };

    /// <summary>A server without a network; every answer that its script does not fail is whole.</summary>
    private sealed class ScriptedTarget(Func<AnswerRecorder, Task> script) : IBenchTarget
    {
        public string Model => "scripted";

        public async Task AskAsync(string prompt, AnswerRecorder answer, CancellationToken cancellationToken)
        {
            await script(answer);
            answer.OnFinish();
            answer.OnDone();
        }

        public void Dispose()
        {
        }
    }
}
