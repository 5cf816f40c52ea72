using Google.Protobuf;
using Skein.Engines.Simulated;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.Simulated;

public class SimulatedResumeTests
{
    private static readonly Dictionary<string, GenerateRequest> Scenarios = new()
    {
        ["greedy"] = Answer.Request("Tell me.", 60),
        ["seeded"] = Answer.Request("Tell me.", 60, new Sampling { Seed = 7, TopP = 0.9f, TopK = 5, MinP = 0.01f }),
        ["penalties"] = Answer.Request("Again!", 60, new Sampling { Seed = 1, PresencePenalty = 1.5f, FrequencyPenalty = 1, RepetitionPenalty = 1.3f }),
        ["bias"] = Answer.Request("Bias", 40, new Sampling { Temperature = 0, LogitBias = { [0x02C3A900] = 3.6f } }),
        ["logprobs"] = With(Answer.Request("How likely?", 40, new Sampling { Seed = 3 }), request => request.Logprobs = 4),
        ["half stops"] = With(Answer.Request("Tell me.", 60), request => request.Stop.Add([". The x", " never seen", "\u00e9\u00e9"])),
        ["echo"] = With(Answer.Request("Z\u00fcrich \ud83c\udf19", 30), request => request.Echo = true),
        ["empty"] = Answer.Request("Nothing", 0),
        ["chat"] = new GenerateRequest { Chat = new ChatPrompt { Messages = ByteString.CopyFromUtf8("""[{"role":"user","content":"hi"}]""") } },
    };

    public static TheoryData<string> Names => [.. Scenarios.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Generate_CutAfterEveryFrame_GoesOnAsIfNeverCut(string scenario)
    {
        var request = Scenarios[scenario];
        var whole = await Answer.FramesOf(request);
        var expected = Answer.Of(whole);
        for (var cut = 1; cut < whole.Count; cut++)
        {
            var rest = await Answer.FramesOf(Answer.Resumed(request, whole[..cut]));

            var joined = Answer.Of([.. whole[..cut], .. rest[1..]]);
            Assert.Equal((uint)whole[..cut].Sum(frame => (int)frame.Count), rest[0].Start.ResumedAt);
            Assert.Equal(whole[0].Start.PromptTokenIds, rest[0].Start.PromptTokenIds);
            Assert.Equal(expected.Text, joined.Text);
            Assert.Equal(expected.Ids, joined.Ids);
            Assert.Equal(expected.Logprobs, joined.Logprobs);
            Assert.Equal(expected.Finish, joined.Finish);
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Hold_AtEveryFrameContinuedAtEveryLaterOne_GoesOnAsIfNeverCut(string scenario)
    {
        var request = Scenarios[scenario];
        var whole = await Answer.FramesOf(request);
        for (var held = 0; held < whole.Count; held++)
        {
            var standby = held == 0 ? request : Answer.Resumed(request, whole[..held]);
            for (var cut = Math.Max(held, 1); cut < whole.Count; cut++)
            {
                var rest = await Answer.StandbyFramesOf(standby, Answer.Resumed(request, whole[..cut]).Resume);

                Assert.Equal(standby.Resume?.NextIndex ?? 0, rest[0].Start.ResumedAt);
                Assert.Equal(whole[cut..], rest[1..]);
            }
        }
    }

    [Fact]
    public async Task Hold_NothingGeneratedAnywhere_MakesTheWholeAnswer()
    {
        var request = Scenarios["half stops"];

        Assert.Equal(await Answer.FramesOf(request), await Answer.StandbyFramesOf(request, journal: null));
    }

    [Fact]
    public async Task Generate_CutInsideTheStopText_IsResumedAndStillStops()
    {
        var request = Answer.Request("Tell me.", 60);
        var stop = (await Answer.Of(request)).Text[8..40];
        request.Stop.Add(stop);
        var whole = await Answer.FramesOf(request);
        Assert.Contains(whole[2..^1], frame => frame.Text.IsEmpty);
        for (var cut = 1; cut < whole.Count; cut++)
        {
            var rest = await Answer.FramesOf(Answer.Resumed(request, whole[..cut]));

            Assert.Equal(Answer.Of(whole).Text, Answer.Of([.. whole[..cut], .. rest[1..]]).Text);
            Assert.Equal(stop, rest[^1].Finish.MatchedStop);
            Assert.Equal(FinishReason.Stop, rest[^1].Finish.Reason);
            for (var held = 1; held <= cut; held++)
            {
                Assert.Equal(rest[1..], (await Answer.StandbyFramesOf(Answer.Resumed(request, whole[..held]), Answer.Resumed(request, whole[..cut]).Resume))[1..]);
            }
        }
    }

    [Fact]
    public async Task Generate_ManyPrompts_HoldBackHalfCharacters()
    {
        var held = 0;
        for (var i = 0; i < 10; i++)
        {
            var frames = await Answer.FramesOf(Answer.Request($"prompt {i}", 50));
            held += frames[1..^1].Count(frame => SimulatedVocabulary.IsLead(frame.TokenIds[0]));
        }

        Assert.True(held > 20, $"only {held} tokens end inside a character: resuming there is not tested");
    }

    [Fact]
    public async Task Generate_ResumeFromAnotherFingerprint_IsRefused()
    {
        var request = Answer.Request("Tell me.", 20);
        var frames = await Answer.FramesOf(request, Answer.Engine(new SimulatedEngineOptions { WeightsSeed = 1 }));

        var refusal = await Assert.ThrowsAsync<FaultException>(() => Answer.FramesOf(Answer.Resumed(request, frames[..5])));

        Assert.Equal(Fault.ResumeRefused, refusal.Fault);
        Assert.StartsWith("resume.fingerprint is 'simulated-", refusal.Message);
    }

    [Theory]
    [InlineData("text", "resume.text is not what the resumed ids begin with")]
    [InlineData("index", "resume.next_index is 9; allowed: 4, the number of resume.token_ids")]
    [InlineData("max_tokens", "resume.token_ids are 4; max_tokens is 3")]
    public async Task Generate_ResumeThatDoesNotFit_IsRefused(string wrong, string message)
    {
        var request = Answer.Request("Tell me.", 20);
        var resumed = Answer.Resumed(request, (await Answer.FramesOf(request))[..5]);
        switch (wrong)
        {
            case "text": resumed.Resume.Text = ByteString.CopyFromUtf8("something else"); break;
            case "index": resumed.Resume.NextIndex = 9; break;
            default: resumed.MaxTokens = 3; break;
        }

        var refusal = await Assert.ThrowsAsync<FaultException>(() => Answer.FramesOf(resumed));

        Assert.Equal(Fault.ResumeRefused, refusal.Fault);
        Assert.Equal(message, refusal.Message);
    }

    private static GenerateRequest With(GenerateRequest request, Action<GenerateRequest> change)
    {
        change(request);
        return request;
    }
}
