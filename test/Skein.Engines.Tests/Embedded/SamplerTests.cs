using Skein.Engines.Embedded.Sampling;

namespace Skein.Engines.Tests.Embedded;

public class SamplerTests
{
    private static readonly float[] Logits = [1, 3, 2, 3, -1];

    [Fact]
    public void Choose_Greedy_TakesTheLikeliestAndOfEqualsTheFirst() => Assert.Equal(1, Choose(Rules(temperature: 0)));

    [Fact]
    public void Choose_Bias_Decides() => Assert.Equal(4, Choose(Rules(temperature: 0) with { Bias = [new(4, 10)] }));

    [Theory]
    [InlineData(0.6f, 0, 1)] // both favourites lose 0.6, however often they were said
    [InlineData(0, 0.6f, 2)] // they lose 1.2 and 1.8: token 2 is ahead
    [InlineData(0.5f, 0.1f, 1)] // 0.7 and 0.8
    public void Choose_PresenceAndFrequencyPenalty_ApplyToTheAnswer(float presence, float frequency, int expected)
    {
        var sampler = new Sampler(Rules(temperature: 0) with { PresencePenalty = presence, FrequencyPenalty = frequency }, prompt: [0, 2, 2, 2], Logits.Length);
        foreach (var said in (int[])[1, 3, 3, 1, 3])
        {
            sampler.Accept(said);
        }

        Assert.Equal(expected, sampler.Choose([.. Logits], position: 5));
    }

    [Theory]
    [InlineData(1.6f, 2)] // 3 / 1.6 against 2
    [InlineData(1.4f, 1)]
    public void Choose_RepetitionPenalty_AppliesToPromptAndAnswer(float penalty, int expected)
    {
        var sampler = new Sampler(Rules(temperature: 0) with { RepetitionPenalty = penalty }, prompt: [3], Logits.Length);
        sampler.Accept(1);

        Assert.Equal(expected, sampler.Choose([.. Logits], position: 1));
    }

    [Fact]
    public void Choose_Sampled_FollowsTheSoftmax()
    {
        var weights = Logits.Select(logit => Math.Exp(logit / 1.25)).ToArray();

        AssertShares([.. weights.Select(weight => weight / weights.Sum())], Rules(temperature: 1.25f));
    }

    [Fact]
    public void Choose_Limits_LeaveOnlyTheLikeliest()
    {
        var (a, b) = (Math.Exp(3), Math.Exp(2));

        AssertShares([0, 1, 0, 0, 0], Rules() with { TopK = 1 });
        AssertShares([0, a / (a + a + b), b / (a + a + b), a / (a + a + b), 0], Rules() with { TopK = 3 });
        AssertShares([0, 0.5, 0, 0.5, 0], Rules() with { TopP = 0.75f }); // each of the two has 0.39
        AssertShares([0, 0.5, 0, 0.5, 0], Rules() with { MinP = 0.5f }); // token 2 has 0.37 of the likeliest
        AssertShares([0, 1, 0, 0, 0], Rules() with { TopP = float.Epsilon });
        AssertShares([0, 1, 0, 0, 0], Rules() with { TopP = 0 });
    }

    [Fact]
    public void Choose_SameSeedAndPosition_AreTheSameWhateverCameBefore()
    {
        var (resumed, undisturbed) = (new Sampler(Rules(), [], Logits.Length), new Sampler(Rules(), [], Logits.Length));
        for (var position = 0; position < 100; position++)
        {
            var expected = undisturbed.Choose([.. Logits], position);
            if (position >= 50)
            {
                Assert.Equal(expected, resumed.Choose([.. Logits], position));
            }
        }
    }

    [Theory]
    [InlineData(0ul, 0, 0.65244848637403219)]
    [InlineData(42ul, 7, 0.99290564692088956)]
    [InlineData(ulong.MaxValue, 1_000_000, 0.64999920780640896)]
    public void Unit_SeedAndPosition_GiveTheNumberTheyAlwaysGave(ulong seed, int position, double expected) =>
        Assert.Equal(expected, SplitMix.Unit(seed, position));

    [Fact]
    public void Choose_ExtremeLogits_StillChooses()
    {
        float[] logits = [float.MaxValue, -float.MaxValue, 0, float.MaxValue, 1];

        var rules = Rules(temperature: 1e-30f) with { RepetitionPenalty = float.Epsilon, TopP = 0.5f };

        Assert.InRange(new Sampler(rules, [0, 1, 2, 3, 4], logits.Length).Choose(logits, 0), 0, 4);
    }

    private static SamplingRules Rules(float temperature = 1) => new(temperature, 1, 0, 0, 1234, 0, 0, 1, []);

    private static int Choose(SamplingRules rules, int position = 0) => new Sampler(rules, [], Logits.Length).Choose([.. Logits], position);

    private static void AssertShares(double[] expected, SamplingRules rules)
    {
        const int Draws = 20_000;
        var counts = new int[expected.Length];
        for (var position = 0; position < Draws; position++)
        {
            counts[Choose(rules, position)]++;
        }

        Assert.All(expected, (share, id) => Assert.InRange(counts[id] / (double)Draws, share == 0 ? 0 : share - 0.02, share == 0 ? 0 : share + 0.02));
    }
}
