using Google.Protobuf;
using Skein.Engines.Tests.Embedded;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.OpenAiCompatible;

public class LlamaCppTests(LlamaServer server)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task ConnectAsync_LlamaCpp_TellsWhatTheServerTells()
    {
        await using var engine = await server.ConnectAsync();

        var description = await engine.DescribeAsync(Cancellation);

        Assert.Equal(4, description.Slots);
        var model = Assert.Single(description.Models);
        Assert.Equal(("tiny", 1024u, ResumeTier.Exact, TokenUnit.Token), (model.Name, model.ContextTokens, model.ResumeTier, model.Unit));
        Assert.Equal(32, model.Fingerprint.Length);
    }

    [Theory]
    [InlineData("Hello!")]
    [InlineData("Tell me a story about a heron.")]
    [InlineData("Write a poem about 🐢 and 日本語.")]
    public async Task GenerateAsync_GreedyCutAfterEveryToken_GoesOnExactly(string prompt)
    {
        await using var engine = await server.ConnectAsync();
        await using var another = await server.ConnectAsync();
        var request = Ask.Greedy(prompt, 60);
        request.Logprobs = 1;
        request.Stop.Add(["turtle in the end", " once more"]);
        request.Sampling.FrequencyPenalty = 0.2f;
        request.Sampling.RepetitionPenalty = 1.1f;

        var undisturbed = await Transcript.Of(engine, request, Cancellation);

        Assert.Equal(ResumeTier.Exact, undisturbed.Start.ResumeTier);
        Assert.True(undisturbed.Tokens.Count > 5);
        await undisturbed.AssertSameAfterAnyCut(another, request);
    }

    [Fact]
    public async Task HoldAsync_ContinuedAtEveryToken_GoesOnExactly()
    {
        await using var engine = await server.ConnectAsync();
        await using var another = await server.ConnectAsync();
        var request = Ask.Greedy("Write a poem about 🐢 and 日本語.", 10);
        request.Logprobs = 1;
        request.Sampling.RepetitionPenalty = 1.1f;

        await (await Transcript.Of(engine, request, Cancellation)).AssertSameHeldAndContinuedAnywhere(another, request);
    }

    [Theory]
    [InlineData(" the", 0)]
    [InlineData("e.", 0)]
    [InlineData("never said", 40)]
    public async Task GenerateAsync_StopAcrossTheCut_EndsAsUndisturbed(string stop, uint maxTokens)
    {
        await using var engine = await server.ConnectAsync();
        var request = Ask.Greedy("Tell me a story about a heron.", maxTokens == 0 ? 200 : maxTokens);
        request.Stop.Add(stop);

        var undisturbed = await Transcript.Of(engine, request, Cancellation);

        Assert.Equal(maxTokens == 0 ? stop : "", undisturbed.Last.Finish.MatchedStop);
        await undisturbed.AssertSameAfterAnyCut(engine, request);
    }

    /// <summary>llama.cpp keeps the ids of unfinished characters to itself. A model that says nothing else shows whether they are found again.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(12)]
    [InlineData(13)]
    [InlineData(14)]
    [InlineData(15)]
    public async Task GenerateAsync_HalfCharacters_FindsEveryIdAndGoesOnExactly(uint maxTokens)
    {
        await using var engine = await server.ConnectAsync();
        var request = HalfCharacters(maxTokens);
        request.Sampling.Temperature = 0;

        var undisturbed = await Transcript.Of(engine, request, Cancellation);

        Assert.Equal((int)maxTokens, undisturbed.Tokens.Count);
        Assert.Equal(HalfCharacterIds.Order(), HalfCharacterIds.Union(undisturbed.Ids).Order());
        await undisturbed.AssertSameAfterAnyCut(engine, request);
    }

    [Fact]
    public async Task GenerateAsync_WholeCharactersOfManyTokens_AreFoundInSampledAnswersToo()
    {
        await using var engine = await server.ConnectAsync();
        var request = Ask.Chat("Hello!");
        request.Sampling = new Sampling { Temperature = 1, Seed = 3 };
        request.Extra.Add(new RawMember { Name = "grammar", Json = ByteString.CopyFromUtf8("\"root ::= [é😀日]{10}\"") });

        var answer = await Transcript.Of(engine, request, Cancellation);

        Assert.Equal(ResumeTier.None, answer.Start.ResumeTier);
        Assert.Equal(10, answer.Text.EnumerateRunes().Count());
        Assert.True(answer.Ids.Count() >= 20);
        Assert.Matches("^(é|😀|日)+$", answer.Text);
    }

    [Fact]
    public async Task GenerateAsync_Seeded_RepeatsItselfAndResumesAsTokens()
    {
        await using var engine = await server.ConnectAsync();
        var request = Ask.Chat("Tell me a story about a heron.");
        request.MaxTokens = 40;
        request.Sampling = new Sampling { Temperature = 0.9f, Seed = ulong.MaxValue };

        var first = await Transcript.Of(engine, request, Cancellation);
        var second = await Transcript.Of(engine, request, Cancellation);
        var resumed = await Transcript.Of(engine, new GenerateRequest(request) { Resume = first.JournalAfter(20) }, Cancellation);

        Assert.Equal(ResumeTier.Tokens, first.Start.ResumeTier);
        Assert.Equal(first.Ids, second.Ids);
        Assert.Equal(first.Ids.Count(), 20 + resumed.Ids.Count());
    }

    [Theory]
    [InlineData("Hello!")]
    [InlineData("Tell me a story about a heron.")]
    [InlineData("Write a poem about 🐢 and 日本語.")]
    public async Task GenerateAsync_Greedy_SaysWhatTheEmbeddedEngineSays(string prompt)
    {
        await using var engine = await server.ConnectAsync();
        await using var embedded = Loaded.Engine();
        var request = Ask.Greedy(prompt, 60);

        var answer = await Transcript.Of(engine, request, Cancellation);
        var expected = await Transcript.Of(embedded, request, Cancellation);

        Assert.Equal(expected.Start.PromptTokenIds, answer.Start.PromptTokenIds);
        Assert.Equal(expected.Ids, answer.Ids);
        Assert.Equal((expected.Text, Transcript.WithoutTimes(expected.Last).Finish), (answer.Text, Transcript.WithoutTimes(answer.Last).Finish));
    }

    [Fact]
    public async Task GenerateAsync_UnknownMember_ReachesTheServer()
    {
        await using var engine = await server.ConnectAsync();
        var request = Ask.Greedy("Hello!", 10);
        request.Extra.Add(new RawMember { Name = "grammar", Json = ByteString.CopyFromUtf8("\"root ::= \\\"Yes, indeed\\\"\"") });

        var answer = await Transcript.Of(engine, request, Cancellation);

        Assert.Equal("Yes, indeed", answer.Text);
    }

    /// <summary>An event about the prompt was taken for a token, and the answer had one more than it may have.</summary>
    [Fact]
    public async Task GenerateAsync_CompletionWithProgress_HasItsTokens()
    {
        await using var engine = await server.ConnectAsync();
        var request = new GenerateRequest { Model = "tiny", Text = "Once upon a time", MaxTokens = 10, Sampling = new Sampling { Temperature = 0 } };
        var plain = await Transcript.Of(engine, request, Cancellation);
        request.Extra.Add(new RawMember { Name = "return_progress", Json = ByteString.CopyFromUtf8("true") });

        var frames = new List<GenerateFrame>();
        await foreach (var frame in engine.GenerateAsync(request, Cancellation))
            frames.Add(frame);

        Assert.Equal(plain.Ids, frames.SelectMany(frame => frame.TokenIds));
        Assert.Contains(frames, frame => frame.RawChunk.ToStringUtf8().StartsWith("{\"prompt_progress\":{\"total\":", StringComparison.Ordinal));
    }

    /// <summary>
    /// A client sees the start of the first attempt. If that one had no fingerprint, because it went another way, and ended before its first event, the answer
    /// had none.
    /// </summary>
    [Fact]
    public async Task GenerateAsync_EveryWay_TellsTheFingerprintAtItsStart()
    {
        await using var engine = await server.ConnectAsync();
        var byIds = Ask.Greedy("Hello!", 3);
        var byText = Ask.Greedy("Hello!", 3);
        byText.Extra.Add(new RawMember { Name = "grammar", Json = ByteString.CopyFromUtf8("\"root ::= \\\"Yes\\\"\"") });
        var whole = Ask.Greedy("Hello!", 3);
        (whole.Whole, whole.Logprobs) = (true, 1);

        foreach (var request in (GenerateRequest[])[byIds, byText, whole])
        {
            var frames = new List<GenerateFrame>();
            await foreach (var frame in engine.GenerateAsync(request, Cancellation))
                frames.Add(frame);

            Assert.StartsWith("b", frames[0].Start.SystemFingerprint, StringComparison.Ordinal);
            Assert.All(frames, frame => Assert.DoesNotContain("system_fingerprint", frame.RawChunk.ToStringUtf8(), StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task GenerateAsync_LogitBias_ReachesTheServer()
    {
        await using var engine = await server.ConnectAsync();
        var request = Ask.Greedy("Hello!", 3);
        request.Sampling.LogitBias[52] = 100;

        var answer = await Transcript.Of(engine, request, Cancellation);

        Assert.Equal([52u, 52u, 52u], answer.Ids);
    }

    [Fact]
    public async Task GenerateAsync_ResponseFormat_IsMadeByTheChatCall()
    {
        await using var engine = await server.ConnectAsync();
        var request = Ask.Greedy("Hello!", 20);
        request.Chat.ResponseFormat = ByteString.CopyFromUtf8("""{"type":"json_schema","json_schema":{"schema":{"enum":["ab"]}}}""");
        var frames = new List<GenerateFrame>();

        await foreach (var frame in engine.GenerateAsync(request, Cancellation))
        {
            frames.Add(frame);
        }

        Assert.Equal((ResumeTier.None, TokenUnit.Chunk), (frames[0].Start.ResumeTier, frames[0].Start.Unit));
        Assert.Equal("\"ab\"", string.Concat(frames.Select(frame => frame.Text.ToStringUtf8())));
        Assert.Equal(FinishReason.Stop, frames[^1].Finish.Reason);
        Assert.True(frames[^1].Finish.Usage.CompletionTokens > 0);
    }

    [Fact]
    public async Task GenerateAsync_OtherModel_IsRefused()
    {
        await using var engine = await server.ConnectAsync();
        var request = Ask.Greedy("Hello!", 10);
        request.Model = "other";

        var exception = await Assert.ThrowsAsync<FaultException>(() => Transcript.Of(engine, request, Cancellation));

        Assert.Equal(Fault.ModelNotFound, exception.Fault);
    }

    /// <summary>The server judges it, and this one lets the answer end where the context does.</summary>
    [Fact]
    public async Task GenerateAsync_MoreTokensThanTheContextLeaves_ReachesTheServer()
    {
        await using var engine = await server.ConnectAsync();

        var answer = await Transcript.Of(engine, Ask.Greedy("Hello!", 5_000), Cancellation);

        Assert.NotNull(answer.Last.Finish);
    }

    [Fact]
    public async Task GenerateAsync_WrongPromptId_IsAnInvalidRequest()
    {
        await using var engine = await server.ConnectAsync();
        var request = new GenerateRequest { TokenIds = new TokenIds { Ids = { 0, 70_000 } } };

        var exception = await Assert.ThrowsAsync<FaultException>(() => Transcript.Of(engine, request, Cancellation));

        Assert.Equal(Fault.InvalidRequest, exception.Fault);
        Assert.Contains("prompt[1] is 70000", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task LoadAsync_Idle_NobodyWaits()
    {
        await using var engine = await server.ConnectAsync();

        Assert.Equal(0, (await engine.LoadAsync(Cancellation)).Waiting);
    }

    private static readonly uint[] HalfCharacterIds = [201, 175, 246, 165, 158, 134]; // C3 A9, F0 9F 98 80 of the model's vocabulary

    private static GenerateRequest HalfCharacters(uint maxTokens)
    {
        var request = Ask.Chat("Hello!");
        request.MaxTokens = maxTokens;
        request.Sampling = new Sampling { FrequencyPenalty = 1.5f };
        foreach (var id in HalfCharacterIds)
        {
            request.Sampling.LogitBias[id] = 80;
        }

        return request;
    }
}
