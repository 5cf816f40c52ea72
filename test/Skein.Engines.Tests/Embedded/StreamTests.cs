using Microsoft.Extensions.Time.Testing;
using Skein.Engines.Embedded;
using Skein.Engines.Embedded.Generation;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.Embedded;

public class StreamTests
{
    private static readonly IInferenceEngine Storyteller = Loaded.Engine();

    [Fact]
    public async Task DescribeAsync_DefaultModel_TellsWhatItIs()
    {
        var model = Assert.Single((await Storyteller.DescribeAsync(default)).Models);

        Assert.Equal(("tiny-storyteller", 1024u, ResumeTier.Exact, TokenUnit.Token, true), (model.Name, model.ContextTokens, model.ResumeTier, model.Unit, model.Chat));
        Assert.Equal(32, model.Fingerprint.Length);
    }

    [Fact]
    public async Task DescribeAsync_OtherWeights_HaveAnotherFingerprint()
    {
        var prints = new HashSet<string>();
        foreach (var seed in new[] { 1, 1, 2 })
        {
            await using var engine = Loaded.Engine(RandomModel.Build(seed: seed));
            prints.Add((await engine.DescribeAsync(default)).Models[0].Fingerprint);
        }

        Assert.Equal(2, prints.Count);
    }

    [Fact]
    public async Task GenerateAsync_Greedy_WritesTheModelsStory()
    {
        var answer = await Transcript.Of(Storyteller, Ask.Greedy("Tell me a story about a heron.", maxTokens: 400));

        Assert.StartsWith("Once upon a time, in the valley, there was a very patient heron.", answer.Text, StringComparison.Ordinal);
        Assert.EndsWith("still tells the story of the heron and the pirate.", answer.Text, StringComparison.Ordinal);
        Assert.Equal((FinishReason.Stop, ""), (answer.Last.Finish.Reason, answer.Last.Finish.MatchedStop));
        Assert.Equal((uint)answer.Tokens.Count, answer.Last.Finish.Usage.CompletionTokens);
        Assert.Equal((uint)answer.Start.PromptTokenIds.Count, answer.Last.Finish.Usage.PromptTokens);
    }

    [Fact]
    public async Task GenerateAsync_StopText_EndsBeforeIt()
    {
        var request = Ask.Greedy("Tell me a story about a heron.", maxTokens: 400);
        request.Stop.Add([" patient", "nowhere"]);

        var answer = await Transcript.Of(Storyteller, request);

        Assert.Equal("Once upon a time, in the valley, there was a very", answer.Text);
        Assert.Equal((FinishReason.Stop, " patient"), (answer.Last.Finish.Reason, answer.Last.Finish.MatchedStop));
    }

    [Fact]
    public async Task GenerateAsync_Echo_BeginsWithThePromptAndLooksForNoStopInIt()
    {
        var request = new GenerateRequest { Text = "Once upon", Echo = true, MaxTokens = 5, Stop = { "Once" }, Sampling = new Sampling { Temperature = 0 } };
        var fromText = await Transcript.Of(Storyteller, request);
        request.TokenIds = new TokenIds { Ids = { fromText.Start.PromptTokenIds } };
        var fromIds = await Transcript.Of(Storyteller, request);

        Assert.StartsWith("Once upon", fromText.Text, StringComparison.Ordinal);
        Assert.Equal(fromText.Text, fromIds.Text);
        Assert.Equal((9u, 9u), (fromText.Start.EchoedCharacters, fromIds.Start.EchoedCharacters));
        Assert.Equal(5, fromText.Tokens.Count);
    }

    [Fact]
    public async Task GenerateAsync_MissingSeed_IsDrawn()
    {
        var request = Ask.Chat("Hello!");
        request.Sampling = new Sampling { Temperature = 1.5f };
        var drawn = await Transcript.Of(Storyteller, request);
        request.Sampling.Seed = 42;
        var given = await Transcript.Of(Storyteller, request);
        request.Sampling.Seed = 43;
        var other = await Transcript.Of(Storyteller, request);

        Assert.Equal(given.Ids, drawn.Ids);
        Assert.NotEqual(given.Ids, other.Ids);
    }

    [Fact]
    public async Task GenerateAsync_Logprobs_AreTheModelsOwn()
    {
        var request = Ask.Greedy("Hello!", maxTokens: 10);
        request.Logprobs = 20;
        request.Sampling = new Sampling { Temperature = 2, Seed = 3, PresencePenalty = 1 };

        var answer = await Transcript.Of(Storyteller, request);

        foreach (var logprob in answer.Tokens.Select(frame => Assert.Single(frame.Logprobs)))
        {
            Assert.Equal(20, logprob.Top.Count);
            Assert.Equal(logprob.Top.OrderByDescending(top => top.Logprob), logprob.Top);
            Assert.InRange(logprob.Top.Sum(top => Math.Exp(top.Logprob)), 0.5, 1.00001);
            Assert.All(logprob.Top.Where(top => top.TokenId == logprob.TokenId), top => Assert.Equal(top.Logprob, logprob.Logprob));
        }
    }

    [Fact]
    public async Task GenerateAsync_ManyStreamsAtOnce_AreAsAlone()
    {
        GenerateRequest[] requests = [.. Enumerable.Range(0, 64).Select(i => Ask.Greedy($"Tell me a story about {i % 16} herons.", maxTokens: 80))];
        var alone = new List<Transcript>();
        foreach (var request in requests[..16])
        {
            alone.Add(await Transcript.Of(Storyteller, request));
        }

        var together = await Task.WhenAll(requests.Select(request => Task.Run(() => Transcript.Of(Storyteller, request))));

        Assert.All(together, (answer, i) => Assert.Equal((alone[i % 16].Text, alone[i % 16].Last), (answer.Text, answer.Last)));
    }

    [Fact]
    public async Task GenerateAsync_CancelledDuringPrefill_Stops()
    {
        using var cancel = new CancellationTokenSource();
        var request = new GenerateRequest { TokenIds = new TokenIds { Ids = { Enumerable.Repeat(100u, 1000) } } };
        await using var frames = Storyteller.GenerateAsync(request, cancel.Token).GetAsyncEnumerator(cancel.Token);
        Assert.True(await frames.MoveNextAsync());
        Assert.NotNull(frames.Current.Start);

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await frames.MoveNextAsync());
    }

    [Fact]
    public async Task GenerateAsync_CancelledWhilePaced_Stops()
    {
        using var cancel = new CancellationTokenSource();
        await using var engine = Loaded.Engine(tokensPerSecond: 1, new FakeTimeProvider());
        await using var frames = engine.GenerateAsync(Ask.Greedy("Hello!", 10), cancel.Token).GetAsyncEnumerator(cancel.Token);
        await frames.MoveNextAsync();
        await frames.MoveNextAsync();
        var second = frames.MoveNextAsync().AsTask();

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
    }

    [Fact]
    public async Task WaitAsync_LateToken_DoesNotDelayTheNextOnes()
    {
        var time = new FakeTimeProvider();
        var pace = new Pace(tokensPerSecond: 10, time);
        await pace.WaitAsync(default); // due at 0
        time.Advance(TimeSpan.FromMilliseconds(250));
        await pace.WaitAsync(default); // due at 100: late
        await pace.WaitAsync(default); // due at 200: late
        var third = pace.WaitAsync(default).AsTask(); // due at 300

        time.Advance(TimeSpan.FromMilliseconds(49));
        Assert.False(third.IsCompleted);
        time.Advance(TimeSpan.FromMilliseconds(1));
        await third;
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(double.NaN)]
    [InlineData(1_000_001)]
    public void Load_WrongPace_NamesIt(double tokensPerSecond) =>
        Assert.StartsWith($"TokensPerSecond is {tokensPerSecond}; allowed: 0 to 1000000", Assert.Throws<ArgumentException>(() => Loaded.Engine(tokensPerSecond)).Message, StringComparison.Ordinal);
}
