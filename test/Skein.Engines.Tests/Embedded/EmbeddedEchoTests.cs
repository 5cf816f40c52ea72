using System.Text;
using System.Text.Json;
using Skein.Engines.Embedded.Model;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.Embedded;

/// <summary>Evaluation harnesses sum the log probabilities of an echoed prompt: they must be those of the model.</summary>
public class EmbeddedEchoTests
{
    private static readonly uint[] Prompt = [RandomModel.Begin, 72, 101, 108, 108, 111, 0xC3, 0xA9];

    /// <summary>What lm-eval sends, against values that are computed here in double precision from the model's logits.</summary>
    [Theory]
    [InlineData(0u)]
    [InlineData(1u)]
    [InlineData(3u)]
    public async Task GenerateAsync_EchoOfIdsWithLogprobs_GivesThoseOfTheModel(uint maxTokens)
    {
        await using var engine = Loaded.Engine(RandomModel.Build());
        var request = Request(maxTokens);

        var answer = await Transcript.Of(engine, request);

        var scores = JsonElement.Parse(answer.Last.RawLogprobs.Span);
        uint[] ids = [.. Prompt, .. answer.Ids];
        Assert.Equal((int)maxTokens, answer.Tokens.Count);
        Assert.All(answer.Tokens, frame => Assert.Empty(frame.Logprobs));
        Assert.Equal(ids.Length, scores.GetProperty("tokens").GetArrayLength());
        Assert.Equal(JsonValueKind.Null, scores.GetProperty("token_logprobs")[0].ValueKind);
        Assert.Equal(JsonValueKind.Null, scores.GetProperty("top_logprobs")[0].ValueKind);
        var expected = Expected(ids);
        for (var i = 1; i < ids.Length; i++)
        {
            Assert.Equal(expected[i].OfToken, scores.GetProperty("token_logprobs")[i].GetDouble(), 1e-4);
            var top = scores.GetProperty("top_logprobs")[i];
            Assert.InRange(top.EnumerateObject().Count(), 1, 2);
            Assert.Equal(expected[i].Best, top.EnumerateObject().Max(entry => entry.Value.GetDouble()), 1e-4);
            // Harnesses look up the token itself.
            var own = top.GetProperty(scores.GetProperty("tokens")[i].GetString()!).GetDouble();
            Assert.Equal(scores.GetProperty("token_logprobs")[i].GetDouble(), own);
        }

        Assert.Equal(["bytes:\\xc3", "bytes:\\xa9"], scores.GetProperty("tokens").EnumerateArray().Skip(6).Take(2).Select(token => token.GetString()));
        Assert.Equal("Hello\u00E9", Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(answer.Text)[..7]));
        // The begin token has no text; the two bytes of one character begin at the same place.
        Assert.Equal([0, 0, 1, 2, 3, 4, 5, 6], scores.GetProperty("text_offset").EnumerateArray().Select(offset => offset.GetInt32()).Take(8));
    }

    [Fact]
    public async Task GenerateAsync_EchoOfATextWithLogprobs_CountsItsTokens()
    {
        await using var engine = Loaded.Engine();
        var request = new GenerateRequest { Text = "Once upon a time", Echo = true, Logprobs = 0, MaxTokens = 0 };

        var answer = await Transcript.Of(engine, request);

        var scores = JsonElement.Parse(answer.Last.RawLogprobs.Span);
        Assert.Equal("Once upon a time", answer.Text);
        Assert.Equal(answer.Start.PromptTokenIds.Count, scores.GetProperty("tokens").GetArrayLength());
        Assert.All(scores.GetProperty("token_logprobs").EnumerateArray().Skip(1), logprob => Assert.InRange(logprob.GetDouble(), -40, 0));
        var tops = scores.GetProperty("top_logprobs").EnumerateArray().ToList();
        Assert.Equal(JsonValueKind.Null, tops[0].ValueKind);
        for (var i = 1; i < tops.Count; i++)
        {
            var only = Assert.Single(tops[i].EnumerateObject());
            Assert.Equal(scores.GetProperty("tokens")[i].GetString(), only.Name);
            Assert.Equal(scores.GetProperty("token_logprobs")[i].GetDouble(), only.Value.GetDouble());
        }
    }

    [Fact]
    public async Task GenerateAsync_EchoWithLogprobsResumedOrHeld_IsTheSame()
    {
        await using var engine = Loaded.Engine(RandomModel.Build());
        var request = Request(6);

        var answer = await Transcript.Of(engine, request);

        await answer.AssertSameAfterAnyCut(engine, request);
        await answer.AssertSameHeldAndContinuedAnywhere(engine, request);
    }

    private static GenerateRequest Request(uint maxTokens) => new()
    {
        TokenIds = new TokenIds { Ids = { Prompt } },
        Echo = true,
        Logprobs = 1,
        MaxTokens = maxTokens,
        Sampling = new Sampling { Temperature = 0, LogitBias = { [RandomModel.End] = -100 } },
    };

    private static List<(double OfToken, double Best)> Expected(uint[] ids)
    {
        var model = Loaded.Model(RandomModel.Build().ToBytes());
        using var cache = model.NewCache();
        var logits = new float[model.Shape.Vocabulary];
        List<(double, double)> expected = [(0, 0)];
        for (var i = 0; i + 1 < ids.Length; i++)
        {
            model.Evaluate([(int)ids[i]], cache, logits);
            var sum = Math.Log(logits.Sum(logit => Math.Exp(logit)));
            expected.Add((logits[ids[i + 1]] - sum, logits.Max() - sum));
        }

        return expected;
    }
}
