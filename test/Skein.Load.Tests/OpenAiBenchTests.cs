using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.Extensions.Time.Testing;

namespace Skein.Load.Tests;

public class OpenAiBenchTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Run_HealthyServer_CountsEverythingAndNoError()
    {
        await using var server = await FakeOpenAiServer.StartAsync((answer, _) => answer.WholeAsync("one ", "two ", "three"));

        var report = await RunAsync(server.Options);

        Assert.Empty(report.Errors);
        Assert.Equal((20, 20, 60L, false), (report.Requests, report.Succeeded, report.Tokens, report.TokensAreChunks));
        Assert.Equal((20L, 40L, 20L), (report.TimeToFirstTokenMs.Count, report.InterTokenMs.Count, report.EndToEndMs.Count));
        Assert.Equal("fake", report.Model);
        Assert.True(report.TimeToFirstTokenMs.P50 > 0 && report.TimeToFirstTokenMs.P50 <= report.EndToEndMs.Max);
        Assert.Equal(0, report.Failovers);
    }

    /// <summary>A gateway with keys could not be benchmarked.</summary>
    [Fact]
    public async Task Run_Key_IsSentWithEveryRequest()
    {
        var sent = new ConcurrentBag<string>();
        await using var server = await FakeOpenAiServer.StartAsync((answer, _) =>
        {
            sent.Add(answer.Authorization);
            return answer.WholeAsync("x");
        });

        await RunAsync(server.Options with { Key = "sk-skein-1" });

        Assert.Equal(21, sent.Count);
        Assert.All(sent, authorization => Assert.Equal("Bearer sk-skein-1", authorization));
    }

    [Fact]
    public async Task Run_Request_AsksForWhatTheOptionsSay()
    {
        var asked = "";
        await using var server = await FakeOpenAiServer.StartAsync((answer, _) =>
        {
            asked = answer.Request;
            return answer.WholeAsync("x");
        });

        await RunAsync(server.Options with { Target = new Uri(server.Url, "/v1/"), Model = "other", MaxTokens = 7, Seed = 9, Prompts = ["hi"] });

        using var json = JsonDocument.Parse(asked);
        Assert.Equal(
            """{"model":"other","messages":[{"role":"user","content":"hi"}],"max_tokens":7,"temperature":0,"seed":9,"stream":true,"stream_options":{"include_usage":true}}""",
            json.RootElement.GetRawText());
    }

    [Fact]
    public async Task Run_ExtraMembers_AreInEveryRequest()
    {
        var asked = new ConcurrentQueue<string>();
        await using var server = await FakeOpenAiServer.StartAsync((answer, _) =>
        {
            asked.Enqueue(answer.Request);
            return answer.WholeAsync("x");
        });

        await RunAsync(server.Options with { Extra = Members("""{"top_k":5,"skein_fault":{"kind":"stall"}}""") });

        Assert.Equal(21, asked.Count);
        Assert.All(asked, static request => Assert.EndsWith(""","top_k":5,"skein_fault":{"kind":"stall"}}""", request));
    }

    [Fact]
    public async Task Run_ExtraMemberOfTheBenchItself_IsRefused()
    {
        await using var server = await FakeOpenAiServer.StartAsync(static (answer, _) => answer.WholeAsync("x"));

        var refused = await Assert.ThrowsAsync<ArgumentException>(() => RunAsync(server.Options with { Extra = Members("""{"seed":5}""") }));

        Assert.StartsWith("Extra is seed; allowed: all members but model, messages, max_tokens, temperature, seed, stream, stream_options", refused.Message);
    }

    [Theory]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(false, false)]
    public async Task Run_StreamWithoutFinishOrEndMark_IsTruncated(bool finish, bool done)
    {
        await using var server = await ServerWithBadAnswersAsync(async answer =>
        {
            await answer.TokenAsync("one");
            await (finish ? answer.FinishAsync() : Task.CompletedTask);
            await (done ? answer.DoneAsync() : Task.CompletedTask);
        });

        await ExpectErrorsAsync(server, BenchErrors.Truncated, "truncated: prompt 0: the stream ended after 1 tokens without a finish reason or an end marker");
    }

    [Theory]
    [InlineData("""{"error":{"code":"stream_lost","message":"no replica could go on"}}""", "in-band stream_lost")]
    [InlineData("""{"error":{"type":"server_error","message":"no replica could go on"}}""", "in-band server_error")]
    [InlineData("""{"error":{"code":500,"message":"no replica could go on"}}""", "in-band 500")]
    [InlineData("""{"error":{"code":"no <code>","message":"no replica could go on"}}""", "in-band")]
    public async Task Run_ErrorInTheStream_IsCountedByItsCode(string error, string kind)
    {
        await using var server = await ServerWithBadAnswersAsync(async answer =>
        {
            await answer.TokenAsync("one");
            await answer.WriteAsync($"data: {error}");
            await answer.DoneAsync();
        });

        await ExpectErrorsAsync(server, kind, $"{kind}: no replica could go on");
    }

    [Fact]
    public async Task Run_ConnectionThatBreaks_IsAConnectionError()
    {
        await using var server = await ServerWithBadAnswersAsync(async answer =>
        {
            await answer.TokenAsync("one");
            FakeAnswer.Break();
        });

        await ExpectErrorsAsync(server, BenchErrors.Connection);
    }

    [Theory]
    [InlineData(429, """{"error":{"code":"queue_full","message":"busy"}}""", "http 429 queue_full", "busy")]
    [InlineData(502, "<html>", "http 502", "Bad Gateway")]
    public async Task Run_Refusal_IsCountedByStatusAndCode(int status, string body, string kind, string message)
    {
        await using var server = await ServerWithBadAnswersAsync(answer => answer.RefuseAsync(status, body));

        await ExpectErrorsAsync(server, kind, $"{kind}: {message}");
    }

    [Theory]
    [InlineData("data: {")]
    [InlineData("data: null")]
    public async Task Run_EventThatIsNoChunk_IsMalformed(string line)
    {
        await using var server = await ServerWithBadAnswersAsync(answer => answer.WriteAsync(line));

        await ExpectErrorsAsync(server, BenchErrors.Malformed);
    }

    [Fact]
    public async Task Run_OtherTextForTheSamePrompt_HasDiverged()
    {
        await using var server = await FakeOpenAiServer.StartAsync(
            (answer, number) => number == 9 ? answer.WholeAsync("one ", "too") : answer.WholeAsync("one ", "two"));

        var report = await RunAsync(server.Options);

        Assert.Equal((19, 1), (report.Succeeded, report.Diverged));
        Assert.Equal("diverged: prompt 0: differs at character 5: expected \"wo\", got \"oo\"", Assert.Single(report.Examples));
    }

    [Fact]
    public async Task Run_WithoutExactnessCheck_TakesAnyText()
    {
        await using var server = await FakeOpenAiServer.StartAsync((answer, number) => answer.WholeAsync($"{number}"));

        Assert.Equal(20, (await RunAsync(server.Options with { CheckExactness = false })).Succeeded);
    }

    [Fact]
    public async Task Run_FailoverComments_AreCounted()
    {
        await using var server = await FakeOpenAiServer.StartAsync(async (answer, number) =>
        {
            await answer.TokenAsync("one");
            await answer.FinishAsync();
            await answer.WriteAsync(": keep-alive");
            if (number % 2 == 1)
            {
                await answer.WriteAsync(": skein failovers=2 attempts=3 [token 17: replica-2 lost (link); token 30: replica-1 lost (link)]");
            }

            await answer.DoneAsync();
        });

        var report = await RunAsync(server.Options with { Concurrency = 1 });

        Assert.Equal((20, 20, 10), (report.Succeeded, report.Failovers, report.StreamsFailedOver));
        Assert.True(report.TokensAreChunks);
    }

    [Fact]
    public async Task Run_ServerThatFallsSilent_IsGivenUpAndCounted()
    {
        var time = new FakeTimeProvider();
        var silent = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var server = await FakeOpenAiServer.StartAsync(async (answer, number) =>
        {
            if (number != 1)
            {
                await answer.WholeAsync("one");
                return;
            }

            await answer.TokenAsync("one");
            silent.SetResult();
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, answer.Gone).ContinueWith(_ => { }, TaskScheduler.Default);
        });

        var running = Bench.RunAsync(server.Options with { Concurrency = 1, Requests = 3, RequestTimeout = TimeSpan.FromSeconds(5) }, time);
        await silent.Task.WaitAsync(Deadline);
        time.Advance(TimeSpan.FromSeconds(6));
        var report = await running.WaitAsync(Deadline);

        Assert.Equal((2, 1), (report.Succeeded, report.Errors[BenchErrors.Timeout]));
    }

    [Fact]
    public async Task Run_NobodyThere_SaysSoInOneLine()
    {
        var server = await FakeOpenAiServer.StartAsync((_, _) => Task.CompletedTask);
        var options = server.Options;
        await server.DisposeAsync();

        var listed = await Assert.ThrowsAsync<BenchException>(() => RunAsync(options));
        var named = await Assert.ThrowsAsync<BenchException>(() => RunAsync(options with { Model = "fake" }));

        Assert.StartsWith($"cannot ask {options.Target}v1/models for its models: Connection refused", listed.Message);
        Assert.StartsWith($"{options.Target} answered none of 1 reference requests; connection: Connection refused", named.Message);
    }

    [Fact]
    public async Task Report_AsJson_HasItsFiguresByName()
    {
        await using var server = await FakeOpenAiServer.StartAsync((answer, _) => answer.WholeAsync("one"));

        using var json = JsonSerializer.SerializeToDocument(await RunAsync(server.Options), JsonSerializerOptions.Web);

        Assert.Equal(20, json.RootElement.GetProperty("succeeded").GetInt32());
        Assert.Equal(0, json.RootElement.GetProperty("diverged").GetInt32());
        Assert.Equal(20, json.RootElement.GetProperty("timeToFirstTokenMs").GetProperty("count").GetInt32());
        Assert.True(json.RootElement.GetProperty("tokensPerSecond").GetDouble() > 0);
    }

    // The first request is the reference and must be whole; every fourth is not.
    private static Task<FakeOpenAiServer> ServerWithBadAnswersAsync(Func<FakeAnswer, Task> bad) =>
        FakeOpenAiServer.StartAsync((answer, number) => number % 4 == 3 ? bad(answer) : answer.WholeAsync("one"));

    private static async Task ExpectErrorsAsync(FakeOpenAiServer server, string kind, string? example = null)
    {
        var report = await RunAsync(server.Options);

        var (found, count) = Assert.Single(report.Errors);
        Assert.Equal((kind, 5, 15), (found, count, report.Succeeded));
        Assert.StartsWith(example ?? kind, report.Examples[0]);
    }

    private static Dictionary<string, JsonElement> Members(string json) => JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(json)!;

    private static Task<BenchReport> RunAsync(BenchOptions options) => Bench.RunAsync(options, TimeProvider.System).WaitAsync(Deadline);
}
