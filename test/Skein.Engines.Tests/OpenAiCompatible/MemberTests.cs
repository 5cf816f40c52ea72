using System.Text.Json;
using Google.Protobuf;
using Skein.Engines.OpenAiCompatible;
using Skein.Engines.OpenAiCompatible.LlamaCpp;
using Skein.Engines.OpenAiCompatible.Reasoning;
using Skein.Engines.OpenAiCompatible.Tokens;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>Members of servers' answers that Skein does not need, and passes on.</summary>
public class MemberTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task GenerateAsync_MembersBesideTheDelta_GoWithTheirEvent()
    {
        var frames = await FramesOf(
            """{"id":"x","object":"o","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":null}],"prompt_token_ids":[1, 2],"system_fingerprint":"b1"}""",
            """{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null,"token_ids":[7]}],"system_fingerprint":"b1","service_tier":"default","other":null}""",
            """{"choices":[{"index":0,"delta":{"content":"b"}}],"system_fingerprint":"b1"}""",
            """{"choices":[{"index":0,"delta":{"content":"c"},"finish_reason":"stop","token_ids":[8],"stop_reason":2}],"citations":["é"]}""",
            """{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"reasoning_tokens":0},"timings":{"cache_n":1.50}}""");

        Assert.Equal(
            [
                "0  {\"prompt_token_ids\":[1, 2],\"system_fingerprint\":\"b1\"}",
                "1 {\"token_ids\":[7]} {\"service_tier\":\"default\"}",
                "1  ",
                "1  ",
                "0 {\"token_ids\":[8],\"stop_reason\":2} {\"citations\":[\"é\"],\"timings\":{\"cache_n\":1.50}}",
            ],
            frames[1..].Select(frame => $"{frame.Count} {frame.RawChoice.ToStringUtf8()} {frame.RawChunk.ToStringUtf8()}"));
        Assert.Equal("""{"prompt_tokens":1,"completion_tokens":2,"reasoning_tokens":0}""", frames[^1].Finish.Usage.Raw.ToStringUtf8());
        Assert.False(frames[^1].Finish.Usage.HasCachedPromptTokens);
        Assert.Equal("", frames[0].Start.SystemFingerprint);
    }

    [Fact]
    public async Task GenerateAsync_Resumed_DoesNotRepeatWhatCameBeforeTheFirstToken()
    {
        var frames = await FramesOf(
            new Resume { Text = ByteString.CopyFromUtf8("x"), NextIndex = 1 },
            """{"choices":[{"index":0,"delta":{"role":"assistant"}}],"prompt_token_ids":[1,2]}""",
            """{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}""");

        Assert.Equal([0u, 1u, 0u], frames.Select(frame => frame.Count));
    }

    [Theory]
    [InlineData("""{"delta":{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}}""")]
    [InlineData("""{"delta":{"content":["a","b"]}}""")]
    [InlineData("""{"message":{"role":"assistant","content":"ab"}}""")]
    public async Task GenerateAsync_TextInOtherForms_IsTheText(string choice)
    {
        var frames = await FramesOf($$"""{"choices":[{{choice}}]}""", """{"choices":[{"delta":{},"finish_reason":"stop"}]}""");

        Assert.Equal("ab", string.Concat(frames.Select(frame => frame.Text.ToStringUtf8())));
    }

    [Theory]
    [InlineData("""[{"type":"image_url","image_url":{}}]""", "a part of type 'image_url'")]
    [InlineData("7", "Number")]
    public async Task GenerateAsync_ContentThatIsNoText_IsAFault(string content, string found)
    {
        var exception = await Assert.ThrowsAsync<FaultException>(() => FramesOf($$$"""{"choices":[{"delta":{"content":{{{content}}}}}]}"""));

        Assert.Equal((Fault.EngineFailed, $"the engine's content is {found}; allowed: a text, or parts with a text"), (exception.Fault, exception.Message));
    }

    [Fact]
    public async Task GenerateAsync_Logprobs_KeepTheServersForm()
    {
        var frames = await FramesOf(
            """{"choices":[{"delta":{"content":"a"},"logprobs":{"content":[{"id":7,"token":"a","bytes":[97],"logprob":-0.123456789012,"top_logprobs":[]}]}}]}""",
            """{"choices":[{"delta":{},"finish_reason":"stop"}]}""");

        Assert.Equal(
            """{"id":7,"token":"a","bytes":[97],"logprob":-0.123456789012,"top_logprobs":[]}""", Assert.Single(frames[1].Logprobs).Raw.ToStringUtf8());
    }

    [Theory]
    [InlineData(true, """{"token_ids":[7]}""", """{"stop_reason":7,"token_ids":[8]}""")]
    [InlineData(false, "", """{"stop_reason":7}""")]
    public async Task GenerateAsync_ThroughIds_MembersOfTheServerPassAndIdsIfAskedFor(bool asksForIds, string first, string last)
    {
        var server = Dialogues.Vllm();
        await using var engine = await server.ConnectAsync();
        server.On("/v1/completions", _ =>
        [
            """{"choices":[{"index":0,"text":"a","token_ids":[7],"finish_reason":null}]}""",
            """{"choices":[{"index":0,"text":"b","finish_reason":"length","stop_reason":7,"token_ids":[8]}],"system_fingerprint":"b1"}""",
        ]);
        var request = new GenerateRequest { Text = "x", MaxTokens = 2 };
        if (asksForIds)
        {
            request.Extra.Add(new RawMember { Name = "return_token_ids", Json = ByteString.CopyFromUtf8("true") });
        }

        var frames = await FramesOf(engine, request);

        Assert.Equal((TokenUnit.Token, ResumeTier.Tokens), (frames[0].Start.Unit, frames[0].Start.ResumeTier));
        Assert.Equal((first, last), (frames[1].RawChoice.ToStringUtf8(), frames[^1].RawChoice.ToStringUtf8()));
        Assert.Equal("""{"system_fingerprint":"b1"}""", frames[^1].RawChunk.ToStringUtf8());
    }

    [Theory]
    [InlineData(null)]
    [InlineData(0)]
    [InlineData(5)]
    public async Task GenerateAsync_ThroughIds_CachedTokensAreThoseThatTheServerSays(int? cached)
    {
        var server = Dialogues.SgLang(isIncremental: true);
        await using var engine = await server.ConnectAsync();
        var said = cached is null ? "" : $"\"cached_tokens\":{cached},";
        server.On("/generate", _ =>
            ["""{"text":"a","output_ids":[7],"meta_info":{SAID"completion_tokens":1,"finish_reason":{"type":"length"}}}""".Replace("SAID", said, StringComparison.Ordinal)]);

        var usage = (await FramesOf(engine, new GenerateRequest { Text = "x", MaxTokens = 1 }))[^1].Finish.Usage;

        Assert.Equal(cached, usage.HasCachedPromptTokens ? (int)usage.CachedPromptTokens : null);
    }

    /// <summary>What was cached of a lost answer is none of the client's prompt, whose last token is always read.</summary>
    [Theory]
    [InlineData(0, 19, 19)]
    [InlineData(1, 19, 1)]
    [InlineData(1, 0, 0)]
    public async Task GenerateAsync_LlamaCpp_TellsItsTimingsAndWhatWasCached(uint resumedAt, int cached, uint told)
    {
        using var server = new FakeServer().On("/tokenize", """{"tokens":[0,0]}""").On("/completion", _ =>
        [
            """{"content":"a","tokens":[1],"tokens_predicted":1,"stop":false}""",
            """{"content":"","tokens":[],"tokens_predicted":2,"stop":true,"stop_type":"eos","timings":{"cache_n":CACHED,"prompt_ms":1.50}}"""
                .Replace("CACHED", $"{cached}", StringComparison.Ordinal),
        ]);
        var request = new GenerateRequest { Text = "x" };
        if (resumedAt > 0)
            request.Resume = new Resume { NextIndex = resumedAt, TokenIds = { Enumerable.Repeat(1u, (int)resumedAt) }, Text = ByteString.CopyFromUtf8("a") };
        var frames = await LlamaCppFramesOf(server, request);

        Assert.Equal($$$"""{"timings":{"cache_n":{{{cached}}},"prompt_ms":1.50}}""", frames[^1].RawChunk.ToStringUtf8());
        Assert.Equal(new Usage { PromptTokens = 2, CompletionTokens = 2 + resumedAt, CachedPromptTokens = told }, frames[^1].Finish.Usage);
    }

    /// <summary>The server of an answer that was delivered whole is lost before it counts.</summary>
    [Fact]
    public async Task GenerateAsync_LlamaCppAnswerIsDeliveredWhole_WhatIsCachedIsAsked()
    {
        var counts = new List<int?>();
        using var server = new FakeServer().On("/tokenize", """{"tokens":[0,0]}""").On("/completion", body =>
        {
            counts.Add(body.Whole("n_predict"));
            return ["""{"content":"a","tokens":[1],"tokens_predicted":1,"stop":true,"stop_type":"limit","timings":{"cache_n":1}}"""];
        });
        var frames = await LlamaCppFramesOf(server, DeliveredWhole());

        Assert.Equal(2, frames.Count);
        Assert.Equal(
            new Finish { Reason = FinishReason.Length, Usage = new Usage { PromptTokens = 2, CompletionTokens = 1, CachedPromptTokens = 1 } }, frames[^1].Finish);
        Assert.Equal(0, Assert.Single(counts));
    }

    /// <summary>The client has the whole answer: a count that is missing must not make it fail.</summary>
    [Theory]
    [InlineData(null)]
    [InlineData("not JSON")]
    [InlineData("""{"content":"a"}""")]
    public async Task GenerateAsync_LlamaCppAnswerIsDeliveredWholeAndServerDoesNotCount_EndsWithoutTheCount(string? count)
    {
        using var server = new FakeServer().On("/tokenize", """{"tokens":[0,0]}""").On(
            "/completion", _ => [count ?? throw new HttpRequestException("the connection is lost")]);

        var frames = await LlamaCppFramesOf(server, DeliveredWhole());

        Assert.Equal(new Finish { Reason = FinishReason.Length, Usage = new Usage { PromptTokens = 2, CompletionTokens = 1 } }, frames[^1].Finish);
    }

    [Fact]
    public async Task GenerateAsync_CancelledWhileTheServerCounts_IsCancelled()
    {
        using var cancel = new CancellationTokenSource();
        using var server = new FakeServer().On("/tokenize", """{"tokens":[0,0]}""").On("/completion", _ =>
        {
            cancel.Cancel();
            throw new OperationCanceledException(cancel.Token);
        });

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => LlamaCppFramesOf(server, DeliveredWhole(), cancellation: cancel.Token));
    }

    /// <summary>Behind a stop text the last event is not awaited.</summary>
    [Fact]
    public async Task GenerateAsync_LlamaCppWithStop_TellsTimingsAndWhatWasCached()
    {
        using var server = new FakeServer().On("/tokenize", """{"tokens":[0,0]}""").On("/completion", body =>
            Enumerable.Repeat("""{"content":"a","tokens":[1],"tokens_predicted":COUNT,"stop":falseMORE}""", 3).Select((step, i) => step
                .Replace("COUNT", $"{i + 1}", StringComparison.Ordinal)
                .Replace("MORE", body.Member("timings_per_token") is null ? "" : ",\"timings\":{\"cache_n\":1}", StringComparison.Ordinal)));

        var frames = await LlamaCppFramesOf(server, new GenerateRequest { Text = "x", Stop = { "aa" } });

        Assert.Equal(new Usage { PromptTokens = 2, CompletionTokens = 2, CachedPromptTokens = 1 }, frames[^1].Finish.Usage);
        Assert.Equal("""{"timings":{"cache_n":1}}""", frames[^1].RawChunk.ToStringUtf8());
        Assert.All(frames.SkipLast(1), frame => Assert.Empty(frame.RawChunk));
    }

    /// <summary>The server has a limit of its own, which no call tells, and another name for several answers.</summary>
    [Fact]
    public async Task GenerateAsync_LlamaCpp_AsksForNoLengthThatTheClientDidNotAskFor()
    {
        var counts = new List<int?>();
        using var server = new FakeServer().On("/tokenize", """{"tokens":[0,0]}""").On("/completion", body =>
        {
            counts.Add(body.Whole("n_predict"));
            return ["""{"content":"a","tokens":[1],"tokens_predicted":1,"stop":true,"stop_type":"limit"}"""];
        });

        foreach (var request in (GenerateRequest[])[new() { Text = "x" }, new() { Text = "x", MaxTokens = 7 }])
        {
            var frames = await LlamaCppFramesOf(server, request, "b11669-Debian");
            Assert.Equal("b11669-Debian", frames[0].Start.SystemFingerprint);
        }

        Assert.Equal([null, 7], counts);
    }

    [Theory]
    [InlineData("2", false)]
    [InlineData("1", true)]
    [InlineData("null", true)]
    public void Check_LlamaCppsOwnNameOfN_IsRefused(string json, bool isAllowed)
    {
        var request = new GenerateRequest { Text = "x", Extra = { new RawMember { Name = "n_cmpl", Json = ByteString.CopyFromUtf8(json) } } };

        var refusal = Record.Exception(() => new LlamaCppProfile().Check(request));

        Assert.Equal(isAllowed, refusal is null);
        Assert.True(isAllowed || refusal is FaultException { Param: "n_cmpl" });
    }

    [Fact]
    public async Task DescribeAsync_Model_HasWhatTheServerSaysOfIt()
    {
        await using var engine = await Dialogues.Vllm().ConnectAsync();

        var model = Assert.Single((await engine.DescribeAsync(Cancellation)).Models);

        Assert.Equal("""{"owned_by":"vllm","root":"org/fake","max_model_len":64}""", model.Metadata.ToStringUtf8());
    }

    /// <summary>A request whose one token the client has already.</summary>
    private static GenerateRequest DeliveredWhole() => new()
    {
        Text = "x", MaxTokens = 1, Resume = new Resume { NextIndex = 1, TokenIds = { 1u }, Text = ByteString.CopyFromUtf8("a") },
    };

    /// <summary>A llama.cpp server, whose tokens 0 and 1 are "p" and "a".</summary>
    internal static async Task<List<GenerateFrame>> LlamaCppFramesOf(
        FakeServer server, GenerateRequest request, string fingerprint = "", CancellationToken? cancellation = null)
    {
        using var http = new EngineHttp(new OpenAiEngineOptions { BaseUrl = new Uri("http://fake.test") }, server, TimeProvider.System);
        var dialect = new LlamaCppDialect(http, new TokenBytes(["p"u8.ToArray(), "a"u8.ToArray()]), fingerprint);
        var generation = new TokenGeneration(dialect, new ChatReasoning(null, false, false));
        var model = new ModelDescription { Name = "m", ContextTokens = 64 };
        return await generation.RunAsync(request, model, ResumeTier.Tokens, cancellation ?? Cancellation).ToListAsync(Cancellation);
    }

    private static Task<List<GenerateFrame>> FramesOf(params string[] events) => FramesOf(null, events);

    private static async Task<List<GenerateFrame>> FramesOf(Resume? resume, params string[] events)
    {
        await using var engine = await Dialogues.Ollama(events).ConnectAsync();
        var request = new GenerateRequest
        {
            Chat = new ChatPrompt { Messages = ByteString.CopyFromUtf8("""[{"role":"user","content":"Hi"}]""") },
            Logprobs = 0,
            Resume = resume,
        };
        return await FramesOf(engine, request);
    }

    private static ValueTask<List<GenerateFrame>> FramesOf(IInferenceEngine engine, GenerateRequest request) =>
        engine.GenerateAsync(request, Cancellation).ToListAsync(Cancellation);
}
