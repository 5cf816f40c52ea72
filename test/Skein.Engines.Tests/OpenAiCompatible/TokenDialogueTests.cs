using Google.Protobuf;
using Skein.Engines.Tests.Embedded;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.OpenAiCompatible;

public class TokenDialogueTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static readonly Dictionary<string, Func<FakeServer>> Servers = new()
    {
        ["vllm"] = Dialogues.Vllm,
        ["sglang"] = () => Dialogues.SgLang(isIncremental: false),
        ["sglang, incremental"] = () => Dialogues.SgLang(isIncremental: true),
    };

    public static TheoryData<string> Names => [.. Servers.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task GenerateAsync_CutAfterEveryToken_GoesOnExactly(string name)
    {
        await using var engine = await Servers[name]().ConnectAsync();
        var request = Greedy();

        var undisturbed = await Transcript.Of(engine, request, Cancellation);

        Assert.Equal((FakeModel.AnswerText, FinishReason.Stop), (undisturbed.Text, undisturbed.Last.Finish.Reason));
        Assert.Equal(FakeModel.Answer, undisturbed.Ids);
        // The token that ends the answer counts, as the server counts it.
        Assert.Equal(new Usage { PromptTokens = 2, CompletionTokens = (uint)FakeModel.Answer.Count + 1 }, undisturbed.Last.Finish.Usage);
        await undisturbed.AssertSameAfterAnyCut(engine, request);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public async Task GenerateAsync_MaxTokensInsideACharacter_EndsTheSameAfterAnyCut(string name)
    {
        await using var engine = await Servers[name]().ConnectAsync();
        var request = Greedy();
        request.MaxTokens = 4;

        var undisturbed = await Transcript.Of(engine, request, Cancellation);

        Assert.Equal((FinishReason.Length, 4u), (undisturbed.Last.Finish.Reason, undisturbed.Last.Finish.Usage.CompletionTokens));
        await undisturbed.AssertSameAfterAnyCut(engine, request);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public async Task GenerateAsync_StopAcrossTheCut_EndsAsUndisturbed(string name)
    {
        await using var engine = await Servers[name]().ConnectAsync();
        var request = Greedy();
        request.Stop.Add("ims ho");

        var undisturbed = await Transcript.Of(engine, request, Cancellation);

        Assert.Equal((" and a 🐢 sw", "ims ho"), (undisturbed.Text, undisturbed.Last.Finish.MatchedStop));
        await undisturbed.AssertSameAfterAnyCut(engine, request);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public async Task HoldAsync_ContinuedAtEveryToken_GoesOnExactly(string name)
    {
        await using var engine = await Servers[name]().ConnectAsync();
        var request = Greedy();
        request.Stop.Add(["e.x", "home.\u00e9 "]);

        await (await Transcript.Of(engine, request, Cancellation)).AssertSameHeldAndContinuedAnywhere(engine, request);
    }

    [Fact]
    public async Task HoldAsync_UntilItIsContinued_AsksForOneTokenOnly()
    {
        var server = Dialogues.Vllm();
        await using var engine = await server.ConnectAsync();
        var request = Greedy();
        var undisturbed = await Transcript.Of(engine, request, Cancellation);
        request.Resume = undisturbed.JournalAfter(3);
        var continued = new TaskCompletionSource<Resume?>();
        await using var frames = engine.GenerateStandbyAsync(request, continued.Task.WaitAsync, Cancellation).GetAsyncEnumerator(Cancellation);

        Assert.True(await frames.MoveNextAsync());
        Assert.Equal(3u, frames.Current.Start.ResumedAt);
        var next = frames.MoveNextAsync().AsTask();
        Assert.False(next.IsCompleted);
        Assert.StartsWith("""{"model":"fake","prompt":[0,1,2,3,4],"max_tokens":1,""", LastAsked(), StringComparison.Ordinal);
        continued.SetResult(undisturbed.JournalAfter(5));
        Assert.True(await next);

        Assert.Equal(5u, frames.Current.FirstIndex);
        Assert.StartsWith("""{"model":"fake","prompt":[0,1,2,3,4,5,6],"max_tokens":35,""", LastAsked(), StringComparison.Ordinal);

        string LastAsked() => server.Asked.Last(call => call.Path == "/v1/completions").Body;
    }

    [Fact]
    public async Task HoldAsync_TierNone_IsRefusedBeforeAnythingIsAsked()
    {
        var server = Dialogues.Vllm();
        await using var engine = await server.ConnectAsync();
        var request = Greedy();
        request.Extra.Add(new RawMember { Name = "guided_regex", Json = ByteString.CopyFromUtf8("\"a+\"") });

        var exception = await Assert.ThrowsAsync<FaultException>(() => Transcript.OfHeld(engine, request, journal: null));

        Assert.Equal(Fault.ResumeRefused, exception.Fault);
        Assert.DoesNotContain(server.Asked, call => call.Body.Contains("\"stream\":true", StringComparison.Ordinal));
    }

    [Fact]
    public async Task GenerateAsync_Vllm_SendsIdsSamplingAndUnknownMembers()
    {
        var server = Dialogues.Vllm();
        await using var engine = await server.ConnectAsync();
        var request = Greedy();
        request.MaxTokens = 5;
        request.Sampling = new Sampling { Temperature = 0.7f, Seed = 7, TopK = 0 };
        request.Extra.Add(new RawMember { Name = "min_tokens", Json = ByteString.CopyFromUtf8("2.50e0") });

        var answer = await Transcript.Of(engine, request, Cancellation);

        Assert.Equal("""{"model":"fake","prompt":"Two words","add_special_tokens":true}""", server.Asked.Single(call => call.Path == "/tokenize").Body);
        Assert.Equal(
            """{"model":"fake","prompt":[0,1],"max_tokens":5,"stream":true,"return_token_ids":true,"seed":7,"top_k":-1,"temperature":0.7,"min_tokens":2.50e0}""",
            server.Asked[^1].Body);
        Assert.Equal(ResumeTier.Text, answer.Start.ResumeTier);
    }

    /// <summary>Its chats were continued by prefill, which adds a blank: 5 of 12 became other answers.</summary>
    [Fact]
    public async Task GenerateAsync_SgLangChat_GoesThroughIdsAndOnExactly()
    {
        var server = WithChats(Dialogues.SgLang(isIncremental: false), "content");
        await using var engine = await server.ConnectAsync();
        var request = Chat();

        var undisturbed = await Transcript.Of(engine, request, Cancellation);

        Assert.Equal((FakeModel.AnswerText, ResumeTier.Exact), (undisturbed.Text, undisturbed.Start.ResumeTier));
        Assert.Equal("""{"model":"fake","messages":[{"role":"user","content":"Hi"}]}""", server.Asked.Single(call => call.Path == "/tokenize").Body);
        await undisturbed.AssertSameAfterAnyCut(engine, request);
    }

    /// <summary>What the chat call does beside generating is left to it.</summary>
    [Fact]
    public async Task GenerateAsync_SgLangChatCallReasons_GoesThroughTheChatCall()
    {
        var server = WithChats(Dialogues.SgLang(isIncremental: false), "reasoning_content");
        await using var engine = await server.ConnectAsync();

        var frames = new List<GenerateFrame>();
        await foreach (var frame in engine.GenerateAsync(Chat(), Cancellation))
        {
            frames.Add(frame);
        }

        Assert.Equal("/v1/chat/completions", server.Asked[^1].Path);
        Assert.Equal(ResumeTier.None, frames[0].Start.ResumeTier);
        Assert.Contains("reasoning_content", frames[1].RawDelta.ToStringUtf8(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task ConnectAsync_SgLang_TakesItsSlots()
    {
        await using var engine = await Dialogues.SgLang(isIncremental: false).ConnectAsync(options => options with { Slots = null });

        Assert.Equal(48, (await engine.DescribeAsync(Cancellation)).Slots);
    }

    [Fact]
    public async Task ConnectAsync_SlotsUnknown_AreUnknown()
    {
        await using var engine = await Dialogues.Vllm().ConnectAsync(options => options with { Slots = null });

        Assert.Null((await engine.DescribeAsync(Cancellation)).Slots);
        Assert.Equal("vllm", engine.Kind);
    }

    [Theory]
    [InlineData("vllm", 5, 500)]
    [InlineData("sglang", 1, 280)]
    public async Task LoadAsync_Metrics_AreAddedUp(string name, int waiting, int kvUsed)
    {
        await using var engine = await Servers[name]().ConnectAsync();

        Assert.Equal(new EngineLoad(kvUsed, waiting), await engine.LoadAsync(Cancellation));
    }

    [Fact]
    public async Task DescribeAsync_OtherVersion_OtherFingerprint()
    {
        await using var engine = await Dialogues.Vllm().ConnectAsync();
        await using var same = await Dialogues.Vllm().ConnectAsync();
        await using var newer = await Dialogues.Vllm().On("/version", """{"version":"0.12.1"}""").ConnectAsync();
        await using var declared = await Dialogues.Vllm().ConnectAsync(options => options with { Fingerprint = "ours" });

        Assert.Equal(await FingerprintOf(engine), await FingerprintOf(same));
        Assert.NotEqual(await FingerprintOf(engine), await FingerprintOf(newer));
        Assert.Equal("ours", await FingerprintOf(declared));
    }

    [Fact]
    public async Task GenerateAsync_ResumeOfAnotherFingerprint_IsRefused()
    {
        await using var engine = await Dialogues.Vllm().ConnectAsync();
        var request = Greedy();
        request.Resume = (await Transcript.Of(engine, request, Cancellation)).JournalAfter(3);
        request.Resume.Fingerprint = "another";

        var exception = await Assert.ThrowsAsync<FaultException>(() => Transcript.Of(engine, request, Cancellation));

        Assert.Equal(Fault.ResumeRefused, exception.Fault);
    }

    private static FakeServer WithChats(FakeServer server, string member)
    {
        server.ContinuesTexts = false;
        return server.On("/v1/chat/completions", body =>
        [
            .. FakeModel.Generate([0, 1], body.GetProperty("max_tokens").GetInt32()).Where(step => step.Text.Length > 0)
                .Select(step => $$$"""{"choices":[{"delta":{"{{{member}}}":"{{{step.Text}}}"}}]}"""),
            """{"choices":[{"delta":{},"finish_reason":"stop"}]}""",
            "[DONE]",
        ]);
    }

    private static GenerateRequest Chat() => new()
    {
        Chat = new ChatPrompt { Messages = ByteString.CopyFromUtf8("""[{"role":"user","content":"Hi"}]""") },
        MaxTokens = 40,
        Sampling = new Sampling { Temperature = 0 },
    };

    private static GenerateRequest Greedy() => new() { Text = "Two words", MaxTokens = 40, Sampling = new Sampling { Temperature = 0 } };

    private static async Task<string> FingerprintOf(IInferenceEngine engine) => (await engine.DescribeAsync(Cancellation)).Models[0].Fingerprint;
}
