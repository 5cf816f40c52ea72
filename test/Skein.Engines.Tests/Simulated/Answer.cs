using System.Text;
using Google.Protobuf;
using Skein.Engines.Simulated;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.Simulated;

/// <summary>What a client would have of an answer, made out of its frames.</summary>
internal sealed record Answer(string Text, IReadOnlyList<uint> Ids, IReadOnlyList<TokenLogprob> Logprobs, Finish? Finish)
{
    public static IInferenceEngine Engine(SimulatedEngineOptions? options = null, Action? crash = null) =>
        SimulatedEngineFactory.Create(options ?? new SimulatedEngineOptions(), TimeProvider.System, crash);

    public static GenerateRequest Request(string prompt, uint maxTokens, Sampling? sampling = null) =>
        new() { Text = prompt, MaxTokens = maxTokens, Sampling = sampling ?? new Sampling { Temperature = 0 } };

    public static async Task<List<GenerateFrame>> FramesOf(GenerateRequest request, IInferenceEngine? engine = null)
    {
        var frames = new List<GenerateFrame>();
        await foreach (var frame in (engine ?? Engine()).GenerateAsync(request, TestContext.Current.CancellationToken))
        {
            frames.Add(frame);
        }

        return frames;
    }

    /// <summary>The frames of a standby attempt that begins at the request's resume and is continued at the end of <paramref name="journal"/>.</summary>
    public static async Task<List<GenerateFrame>> StandbyFramesOf(GenerateRequest request, Resume? journal)
    {
        var frames = new List<GenerateFrame>();
        await foreach (var frame in Engine().GenerateStandbyAsync(request, _ => Task.FromResult<Resume?>(journal), TestContext.Current.CancellationToken))
        {
            frames.Add(frame);
        }

        return frames;
    }

    public static async Task<Answer> Of(GenerateRequest request, IInferenceEngine? engine = null) => Of(await FramesOf(request, engine));

    /// <summary>Also checks that the frames keep the contract of <see cref="IInferenceEngine.GenerateAsync"/>.</summary>
    public static Answer Of(IReadOnlyList<GenerateFrame> frames)
    {
        Assert.NotNull(frames[0].Start);
        var next = frames[0].Start.ResumedAt;
        foreach (var frame in frames.Where(frame => frame.Count > 0))
        {
            Assert.Equal(next, frame.FirstIndex);
            Assert.Equal((int)frame.Count, frame.TokenIds.Count);
            next += frame.Count;
        }

        Assert.All(frames.SkipLast(1), frame => Assert.Null(frame.Finish));
        Assert.All(frames.SkipLast(1), frame => Assert.DoesNotContain('\uFFFD', frame.Text.ToStringUtf8()));
        return new Answer(
            Encoding.UTF8.GetString([.. frames.SelectMany(frame => frame.Text)]),
            [.. frames.SelectMany(frame => frame.TokenIds)],
            [.. frames.SelectMany(frame => frame.Logprobs)],
            frames[^1].Finish);
    }

    /// <summary>What a gateway asks when the attempt that sent these frames is lost.</summary>
    public static GenerateRequest Resumed(GenerateRequest request, IReadOnlyList<GenerateFrame> received)
    {
        var resumed = request.Clone();
        resumed.Resume = new Resume
        {
            Fingerprint = received[0].Start.Fingerprint,
            PromptTokenIds = { received[0].Start.PromptTokenIds },
            TokenIds = { received.SelectMany(frame => frame.TokenIds) },
            NextIndex = (uint)received.Sum(frame => (int)frame.Count),
            Text = ByteString.CopyFrom([.. received.SelectMany(frame => frame.Text)]),
        };
        return resumed;
    }
}
