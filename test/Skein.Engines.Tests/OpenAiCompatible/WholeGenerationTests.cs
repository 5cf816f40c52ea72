using System.Net;
using System.Text;
using Google.Protobuf;
using Microsoft.Extensions.Time.Testing;
using Skein.Engines.OpenAiCompatible;
using Skein.Engines.OpenAiCompatible.LlamaCpp;
using Skein.Engines.OpenAiCompatible.Texts;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>Answers that a server gives in one piece.</summary>
public class WholeGenerationTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>The gateway gives an engine up that is silent for a minute. A whole answer takes longer.</summary>
    [Fact]
    public async Task RunAsync_AnswerTakesLong_ShowsThatTheEngineIsAlive()
    {
        using var server = new SlowServer();
        var time = new FakeTimeProvider();
        using var http = new EngineHttp(new OpenAiEngineOptions { BaseUrl = new Uri("http://fake.test") }, server, time);
        await using var frames = FramesOf(http, Cancellation);
        Assert.True(await frames.MoveNextAsync());
        Assert.NotNull(frames.Current.Start);

        var next = frames.MoveNextAsync().AsTask();
        await server.Asked.Task.WaitAsync(Cancellation);
        time.Advance(WholeGeneration.SignInterval);

        Assert.True(await next);
        Assert.True(frames.Current.EngineAlive);
        next = frames.MoveNextAsync().AsTask();
        server.Answer.SetResult(Answer(2));
        Assert.True(await next);
        Assert.Equal("abc", frames.Current.Text.ToStringUtf8());
    }

    [Fact]
    public async Task RunAsync_CallerLeaves_EndsTheCall()
    {
        using var server = new SlowServer();
        using var http = new EngineHttp(new OpenAiEngineOptions { BaseUrl = new Uri("http://fake.test") }, server, new FakeTimeProvider());
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        await using var frames = FramesOf(http, stop.Token);
        await frames.MoveNextAsync();
        var next = frames.MoveNextAsync().AsTask();
        await server.Asked.Task.WaitAsync(Cancellation);

        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await next);
        Assert.True(server.IsCancelled);
    }

    /// <summary>Where the answer was begun on another server and is made again, the entries that the client has are cut off the frame with the text.</summary>
    [Fact]
    public async Task RunAsync_ManyLogprobs_ComeWithTheText()
    {
        const int Tokens = 300;
        using var server = new SlowServer();
        server.Answer.SetResult(Answer(Tokens));
        using var http = new EngineHttp(new OpenAiEngineOptions { BaseUrl = new Uri("http://fake.test") }, server, new FakeTimeProvider());
        var frames = new List<GenerateFrame>();
        await using var answer = FramesOf(http, Cancellation);
        while (await answer.MoveNextAsync())
        {
            frames.Add(answer.Current);
        }

        Assert.Equal("abc", string.Concat(frames.Select(frame => frame.Text.ToStringUtf8())));
        Assert.Equal(Enumerable.Range(0, Tokens).Select(Entry), frames.SelectMany(frame => frame.Logprobs).Select(entry => entry.Raw.ToStringUtf8()));
        Assert.Equal([0u, 0u, 300u], frames.Select(frame => frame.FirstIndex));
        Assert.All(frames, frame => Assert.True(frame.Logprobs.Count == frame.Count && frame.RawLogprobs.IsEmpty));
        Assert.Equal((FinishReason.ToolCalls, 9u), (frames[^1].Finish.Reason, frames[^1].Finish.Usage.PromptTokens));
        Assert.Equal("b1", frames[0].Start.SystemFingerprint);
        Assert.All(frames, frame => Assert.DoesNotContain("system_fingerprint", frame.RawChunk.ToStringUtf8(), StringComparison.Ordinal));
        Assert.Contains("\"look\"", frames[^1].RawDelta.ToStringUtf8(), StringComparison.Ordinal);
    }

    private static IAsyncEnumerator<GenerateFrame> FramesOf(EngineHttp http, CancellationToken cancellationToken) =>
        new WholeGeneration(http, new LlamaCppProfile()).RunAsync(
            new GenerateRequest
            {
                Chat = new ChatPrompt { Messages = ByteString.CopyFromUtf8("""[{"role":"user","content":"a"}]"""), Tools = ByteString.CopyFromUtf8("[{}]") },
                Logprobs = 1,
                Whole = true,
            },
            new ModelDescription { Name = "m" },
            "b1",
            cancellationToken).GetAsyncEnumerator(cancellationToken);

    private static string Entry(int token) => $$"""{"id":{{token}},"token":"a","bytes":[97],"logprob":-0.5,"top_logprobs":[]}""";

    private static string Answer(int tokens) =>
        $$$"""
        {"choices":[{"index":0,"finish_reason":"tool_calls","message":{"role":"assistant","content":"abc",
        "tool_calls":[{"type":"function","id":"1","function":{"name":"look","arguments":"{}"}}]},
        "logprobs":{"content":[{{{string.Join(',', Enumerable.Range(0, tokens).Select(Entry))}}}]}}],
        "system_fingerprint":"b1","usage":{"prompt_tokens":9,"completion_tokens":{{{tokens}}},"total_tokens":0}}
        """;

    private sealed class SlowServer : HttpMessageHandler
    {
        public TaskCompletionSource Asked { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource<string> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public bool IsCancelled { get; private set; }

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Asked.TrySetResult();
            try
            {
                var answer = await Answer.Task.WaitAsync(cancellationToken);
                return new HttpResponseMessage(HttpStatusCode.OK) { Content = new StringContent(answer, Encoding.UTF8, "application/json") };
            }
            catch (OperationCanceledException)
            {
                IsCancelled = true;
                throw;
            }
        }
    }
}
