using Skein.Engines.Simulated;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.Simulated;

public class SimulatedAnswerTests
{
    // Pins vocabulary, hashing and sampling: whoever changes them raises SimulatedModel.Build, or mixed fleets resume wrongly.
    [Fact]
    public async Task Generate_KnownPrompt_WritesTheSameTextInEveryBuild()
    {
        var greedy = await Answer.Of(Answer.Request("Tell me a story.", 17));
        var seeded = await Answer.Of(Answer.Request("Tell me a story.", 17, new Sampling { Seed = 42 }));

        Assert.Equal("This naïve painted one piñata snow.\n That silver river lost no 海 rain", greedy.Text);
        Assert.Equal("One bright clock painted no piñata thunder.\n Every amber river lost no orchard after rain", seeded.Text);
    }

    [Fact]
    public async Task Generate_WithoutMaxTokens_MakesOneHundredAndTwentyEight()
    {
        var answer = await Answer.Of(new GenerateRequest { Text = "abcd" });

        Assert.Equal(128, answer.Ids.Count);
        Assert.Equal(FinishReason.Length, answer.Finish!.Reason);
        Assert.Equal(new Usage { PromptTokens = 2, CompletionTokens = 128 }, answer.Finish.Usage);
    }

    [Fact]
    public async Task Generate_Seed_CountsUnlessGreedy()
    {
        async Task<string> Text(float temperature, ulong seed) =>
            (await Answer.Of(Answer.Request("Seeds", 40, new Sampling { Temperature = temperature, Seed = seed }))).Text;

        Assert.Equal(await Text(0, 1), await Text(0, 2));
        Assert.Equal(await Text(1, 1), await Text(1, 1));
        Assert.NotEqual(await Text(1, 1), await Text(1, 2));
        Assert.NotEqual(await Text(0, 1), await Text(1, 1));
    }

    [Fact]
    public async Task Generate_CutsToOneCandidate_EqualGreedy()
    {
        var greedy = (await Answer.Of(Answer.Request("Cuts", 40))).Ids;

        Assert.Equal(greedy, (await Answer.Of(Answer.Request("Cuts", 40, new Sampling { TopK = 1 }))).Ids);
        Assert.Equal(greedy, (await Answer.Of(Answer.Request("Cuts", 40, new Sampling { TopP = 0.01f }))).Ids);
        Assert.Equal(greedy, (await Answer.Of(Answer.Request("Cuts", 40, new Sampling { MinP = 1 }))).Ids);
    }

    [Fact]
    public async Task Generate_PromptAsTheIdsItReported_GivesTheSameAnswer()
    {
        var frames = await Answer.FramesOf(Answer.Request("The same, please \ud83c\udf19", 20));
        var byIds = new GenerateRequest
        {
            TokenIds = new TokenIds { Ids = { frames[0].Start.PromptTokenIds } },
            MaxTokens = 20,
            Sampling = new Sampling { Temperature = 0 },
            Echo = true,
        };

        Assert.Equal("The same, please \ud83c\udf19" + Answer.Of(frames).Text, (await Answer.Of(byIds)).Text);
        Assert.Equal(0u, frames[0].Start.EchoedCharacters);
        Assert.Equal(18u, (await Answer.FramesOf(byIds))[0].Start.EchoedCharacters);
    }

    [Fact]
    public async Task Generate_Bias_ForcesAndBansTokens()
    {
        var free = (await Answer.Of(Answer.Request("Bias", 10))).Ids;
        const uint Forced = 0x0161_0000;

        var forced = await Answer.Of(Answer.Request("Bias", 10, new Sampling { Temperature = 0, LogitBias = { [Forced] = 100 } }));
        var banned = await Answer.Of(Answer.Request("Bias", 10, new Sampling { Temperature = 0, LogitBias = { [free[0]] = -100 } }));

        Assert.Equal("aaaaaaaaaa", forced.Text);
        Assert.DoesNotContain(free[0], banned.Ids);
    }

    [Fact]
    public async Task Generate_Penalty_SeesTheTokensBefore()
    {
        static int Repeats(Answer answer) => answer.Ids.Count - answer.Ids.Distinct().Count();

        var free = await Answer.Of(Answer.Request("Again", 120));
        var penalised = await Answer.Of(Answer.Request("Again", 120, new Sampling { Temperature = 0, FrequencyPenalty = 2 }));

        Assert.True(Repeats(penalised) < Repeats(free), $"{Repeats(penalised)} repeats with a penalty, {Repeats(free)} without");
    }

    [Fact]
    public async Task Generate_Logprobs_AreADistributionWithTheChosenTokenInIt()
    {
        var request = Answer.Request("How likely?", 30, new Sampling { Seed = 5 });
        request.Logprobs = 20;

        var answer = await Answer.Of(request);

        Assert.Equal(answer.Ids, answer.Logprobs.Select(logprob => logprob.TokenId));
        Assert.All(answer.Logprobs, logprob =>
        {
            Assert.Equal(1, logprob.Top.Sum(top => Math.Exp(top.Logprob)), 1e-5);
            Assert.Equal(logprob.Top.OrderByDescending(top => top.Logprob), logprob.Top);
            Assert.Contains(logprob.Top, top => top.TokenId == logprob.TokenId && top.Logprob == logprob.Logprob && top.Token == logprob.Token);
        });
    }

    [Fact]
    public async Task Generate_OtherModelOrWeights_AnswersDifferently()
    {
        var request = Answer.Request("Who are you?", 20);
        var texts = new List<string>();
        foreach (var options in new[] { new SimulatedEngineOptions(), new() { WeightsSeed = 1 }, new() { Model = "other" } })
        {
            texts.Add((await Answer.Of(request, Answer.Engine(options))).Text);
        }

        Assert.Equal(3, texts.Distinct().Count());
    }

    [Fact]
    public void Encode_AnyBytes_AreGivenBackByTheirIds()
    {
        byte[] bytes = [.. Enumerable.Range(0, 256).Select(i => (byte)i)];
        for (var length = 0; length <= bytes.Length; length++)
        {
            var ids = SimulatedVocabulary.Encode(bytes.AsSpan(0, length));

            Assert.All(ids, id => Assert.True(SimulatedVocabulary.Contains(id)));
            Assert.Equal(bytes[..length], ids.SelectMany(id => SimulatedVocabulary.BytesOf(id, new byte[3]).ToArray()));
        }
    }
}
