using CsCheck;
using Google.Protobuf;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.Embedded;

public class ResumeTests
{
    private static readonly IInferenceEngine Babbler = Loaded.Engine(RandomModel.Build());
    private static readonly IInferenceEngine BabblersTwin = Loaded.Engine(RandomModel.Build());

    private static readonly Gen<GenerateRequest> Requests =
        from prompt in Gen.String[Gen.Char["ab é🐢"], 0, 40]
        from maxTokens in Gen.UInt[0, 30]
        from stops in Gen.String[Gen.Char["\u0001\u007Fab\uFFFD"], 1, 2].Array[0, 3]
        from temperature in Gen.OneOf(Gen.Const(0f), Gen.Float[0.1f, 2])
        from seed in Gen.ULong
        from limits in Gen.Select(Gen.Float[0.05f, 1], Gen.UInt[0, 50], Gen.Float[0, 0.5f])
        from penalties in Gen.Select(Gen.Float[-2, 2], Gen.Float[-2, 2], Gen.Float[0.5f, 2])
        from endBias in Gen.Float[0, 6]
        from echo in Gen.Bool
        select EchoOrLogprobs(echo, new GenerateRequest
        {
            Text = prompt,
            MaxTokens = maxTokens,
            Stop = { stops },
            Sampling = new Sampling
            {
                Temperature = temperature,
                Seed = seed,
                TopP = limits.Item1,
                TopK = limits.Item2,
                MinP = limits.Item3,
                PresencePenalty = penalties.Item1,
                FrequencyPenalty = penalties.Item2,
                RepetitionPenalty = penalties.Item3,
                LogitBias = { [RandomModel.End] = endBias },
            },
        });

    [Fact]
    public async Task HoldAsync_AnyRequestHeldAndContinuedAnywhere_GoesOnExactly()
    {
        var (halfCharacters, stops, ends) = (0, 0, 0);
        await Requests.SampleAsync(async request =>
        {
            var undisturbed = await Transcript.Of(Babbler, request);
            await undisturbed.AssertSameHeldAndContinuedAnywhere(BabblersTwin, request);
            halfCharacters += undisturbed.Tokens.Count(frame => frame.Text.IsEmpty);
            stops += undisturbed.Last.Finish.MatchedStop.Length > 0 ? 1 : 0;
            ends += undisturbed.Last.Finish is { Reason: FinishReason.Stop, MatchedStop: "" } ? 1 : 0;
        }, iter: 40, threads: 1);

        Assert.True(halfCharacters > 0 && stops > 0 && ends > 0, $"{halfCharacters} held back, {stops} stops, {ends} ends");
    }

    [Theory]
    [InlineData("Tell me a story about a heron.", 0f)]
    [InlineData("Write a poem about 🐢 and 日本語.", 0.8f)]
    public async Task HoldAsync_ContinuedAtEveryToken_GoesOnExactly(string prompt, float temperature)
    {
        var request = Ask.Chat(prompt);
        request.MaxTokens = 14;
        request.Logprobs = 1;
        request.Stop.Add(["turtle in the end", " once more"]);
        request.Sampling = new Sampling { Temperature = temperature, Seed = 7, TopP = 0.95f, FrequencyPenalty = 0.2f, RepetitionPenalty = 1.1f };
        await using var first = Loaded.Engine();
        await using var second = Loaded.Engine();

        await (await Transcript.Of(first, request)).AssertSameHeldAndContinuedAnywhere(second, request);
    }

    [Theory]
    [InlineData("ids", "the journal's 6 ids do not begin with the 4 ids of the standby attempt")]
    [InlineData("fewer", "the journal's 3 ids do not begin with the 4 ids of the standby attempt")]
    [InlineData("fingerprint", "resume.fingerprint is 'other'")]
    [InlineData("text", "is not how the text of resume.token_ids begins")]
    public async Task HoldAsync_ContinuedWithAJournalThatDoesNotFit_IsRefused(string flaw, string expected)
    {
        var request = new GenerateRequest { Text = "a", MaxTokens = 8, Sampling = new Sampling { Temperature = 0, LogitBias = { [RandomModel.End] = -100 } } };
        var undisturbed = await Transcript.Of(Babbler, request);
        var journal = undisturbed.JournalAfter(flaw == "fewer" ? 3 : 6);
        switch (flaw)
        {
            case "ids": (journal.TokenIds[2], journal.Text) = (journal.TokenIds[2] ^ 1, ByteString.Empty); break;
            case "fingerprint": journal.Fingerprint = "other"; break;
            case "text": journal.Text = ByteString.CopyFromUtf8("other"); break;
        }

        var exception = await Assert.ThrowsAsync<FaultException>(
            () => Transcript.OfHeld(Babbler, new GenerateRequest(request) { Resume = undisturbed.JournalAfter(4) }, journal));

        Assert.Equal(Fault.ResumeRefused, exception.Fault);
        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Hello!", 0f)]
    [InlineData("Tell me a story about a heron.", 0f)]
    [InlineData("Write a poem about 🐢 and 日本語.", 0.8f)]
    public async Task GenerateAsync_CutAfterEveryToken_GoesOnExactly(string prompt, float temperature)
    {
        var request = Ask.Chat(prompt);
        request.MaxTokens = 60;
        request.Logprobs = 1;
        request.Stop.Add(["turtle in the end", " once more"]);
        request.Sampling = new Sampling { Temperature = temperature, Seed = 7, TopP = 0.95f, FrequencyPenalty = 0.2f, RepetitionPenalty = 1.1f };
        await using var first = Loaded.Engine();
        await using var second = Loaded.Engine();

        var undisturbed = await Transcript.Of(first, request);

        Assert.True(undisturbed.Tokens.Count > 20);
        await undisturbed.AssertSameAfterAnyCut(second, request);
    }

    [Fact]
    public async Task GenerateAsync_AnyRequestCutAnywhere_GoesOnExactly()
    {
        var (halfCharacters, stops, ends, lengths) = (0, 0, 0, 0);
        await Requests.SampleAsync(async request =>
        {
            var undisturbed = await Transcript.Of(Babbler, request);
            await undisturbed.AssertSameAfterAnyCut(BabblersTwin, request);
            halfCharacters += undisturbed.Tokens.Count(frame => frame.Text.IsEmpty);
            stops += undisturbed.Last.Finish.MatchedStop.Length > 0 ? 1 : 0;
            lengths += undisturbed.Last.Finish.Reason == FinishReason.Length ? 1 : 0;
            ends += undisturbed.Last.Finish is { Reason: FinishReason.Stop, MatchedStop: "" } ? 1 : 0;
        }, iter: 150, threads: 1);

        Assert.True(halfCharacters > 0 && stops > 0 && ends > 0 && lengths > 0, $"{halfCharacters} held back, {stops} stops, {ends} ends, {lengths} full");
    }

    [Fact]
    public async Task GenerateAsync_TextOfIdsNotYetDelivered_ComesWithTheNextFrame()
    {
        var request = Ask.Greedy("Hello!", maxTokens: 12);
        await using var engine = Loaded.Engine();
        var undisturbed = await Transcript.Of(engine, request);
        var journal = undisturbed.JournalAfter(8);
        var delivered = journal.Text.Length - 5;
        journal.Text = ByteString.CopyFrom(journal.Text.Span[..delivered]);

        var resumed = await Transcript.Of(engine, new GenerateRequest(request) { Resume = journal });

        Assert.Equal(undisturbed.Text[delivered..], resumed.Text);
    }

    [Theory]
    [InlineData("text", "is not how the text of resume.token_ids begins")]
    [InlineData("fingerprint", "resume.fingerprint is 'other'")]
    [InlineData("index", "resume.next_index is 5; allowed: 4")]
    [InlineData("end", "resume.token_ids[3] is 257")]
    [InlineData("range", "resume.token_ids[3] is 258")]
    [InlineData("surplus", "the answer was complete after 3")]
    public async Task GenerateAsync_JournalThatDoesNotFit_IsRefused(string flaw, string expected)
    {
        var request = new GenerateRequest { Text = "a", MaxTokens = 4, Sampling = new Sampling { Temperature = 0, LogitBias = { [RandomModel.End] = -100 } } };
        var journal = (await Transcript.Of(Babbler, request)).JournalAfter(4);
        switch (flaw)
        {
            case "text": journal.Text = ByteString.CopyFromUtf8("other"); break;
            case "fingerprint": journal.Fingerprint = "other"; break;
            case "index": journal.NextIndex = 5; break;
            case "end": journal.TokenIds[3] = RandomModel.End; break;
            case "range": journal.TokenIds[3] = 258; break;
            default: request.MaxTokens = 3; break;
        }

        var exception = await Assert.ThrowsAsync<FaultException>(() => Transcript.Of(Babbler, new GenerateRequest(request) { Resume = journal }));

        Assert.Equal(Fault.ResumeRefused, exception.Fault);
        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
    }

    // Both together are refused.
    private static GenerateRequest EchoOrLogprobs(bool echo, GenerateRequest request)
    {
        request.Echo = echo;
        if (!echo)
        {
            request.Logprobs = 2;
        }

        return request;
    }
}
