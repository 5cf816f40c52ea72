using System.Text;
using Google.Protobuf;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.Embedded;

/// <summary>All frames of one answer, checked for what every answer must keep to.</summary>
internal sealed record Transcript(Start Start, IReadOnlyList<GenerateFrame> Tokens, GenerateFrame Last)
{
    public IEnumerable<uint> Ids => Tokens.SelectMany(frame => frame.TokenIds);

    public string Text => Encoding.UTF8.GetString(TextBefore(Tokens.Count).Concat(Last.Text).ToArray());

    public static Task<Transcript> Of(IInferenceEngine engine, GenerateRequest request, CancellationToken cancellationToken = default) =>
        ReadAsync(engine.GenerateAsync(request, cancellationToken), request.Resume?.NextIndex ?? 0, request.Resume?.NextIndex ?? 0);

    /// <summary>Of a standby attempt that begins at the request's resume and is continued at the end of <paramref name="journal"/>.</summary>
    public static Task<Transcript> OfHeld(IInferenceEngine engine, GenerateRequest request, Resume? journal) => ReadAsync(
        engine.GenerateStandbyAsync(request, _ => Task.FromResult(journal), TestContext.Current.CancellationToken), request.Resume?.NextIndex ?? 0, journal?.NextIndex ?? 0);

    private static async Task<Transcript> ReadAsync(IAsyncEnumerable<GenerateFrame> answer, uint resumedAt, uint first)
    {
        var frames = new List<GenerateFrame>();
        var strict = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
        await foreach (var frame in answer)
        {
            strict.GetString(frame.Text.Span); // whole characters
            Assert.Equal(frames.Count == 0, frame.Start is not null);
            frames.Add(frame);
        }

        Assert.Equal(resumedAt, frames[0].Start.ResumedAt);
        Assert.All(frames[1..^1], (frame, i) => Assert.Equal((first + (uint)i, 1u, 1), (frame.FirstIndex, frame.Count, frame.TokenIds.Count)));
        Assert.All(frames[..^1], frame => Assert.Null(frame.Finish));
        Assert.NotNull(frames[^1].Finish);
        Assert.Equal(0u, frames[^1].Count);
        return new Transcript(frames[0].Start, frames[1..^1], frames[^1]);
    }

    /// <summary>What a gateway's journal holds after the first <paramref name="tokens"/> tokens.</summary>
    public Resume JournalAfter(int tokens) => new()
    {
        TokenIds = { Ids.Take(tokens) },
        Text = ByteString.CopyFrom([.. TextBefore(tokens)]),
        RawDeltas = ByteString.CopyFrom([.. Tokens.Take(tokens).SelectMany(frame => frame.RawDelta)]),
        NextIndex = (uint)tokens,
        PromptTokenIds = { Start.PromptTokenIds },
        Fingerprint = Start.Fingerprint,
    };

    /// <summary>The last frame without what depends on the server's cache and clock.</summary>
    public static GenerateFrame WithoutTimes(GenerateFrame last)
    {
        var copy = last.Clone();
        copy.RawChunk = ByteString.Empty;
        copy.Finish.Usage?.ClearCachedPromptTokens();
        return copy;
    }

    /// <summary>Kills the answer after every token, lets <paramref name="survivor"/> go on, and expects the very same rest.</summary>
    public async Task AssertSameAfterAnyCut(IInferenceEngine survivor, GenerateRequest request)
    {
        for (var cut = 0; cut <= Tokens.Count; cut++)
        {
            var resumed = await Of(survivor, new GenerateRequest(request) { Resume = JournalAfter(cut) });
            Assert.Equal(Tokens.Skip(cut), resumed.Tokens);
            Assert.Equal(WithoutTimes(Last), WithoutTimes(resumed.Last));
        }
    }

    /// <summary>Holds the answer at every token, kills it after every later one, lets <paramref name="survivor"/> go on, and expects the very same rest.</summary>
    public async Task AssertSameHeldAndContinuedAnywhere(IInferenceEngine survivor, GenerateRequest request)
    {
        for (var held = 0; held <= Tokens.Count; held++)
        {
            var holding = new GenerateRequest(request) { Resume = held == 0 ? null : JournalAfter(held) };
            for (var cut = held; cut <= Tokens.Count; cut++)
            {
                var rest = await OfHeld(survivor, holding, cut == 0 ? null : JournalAfter(cut));
                Assert.Equal(Tokens.Skip(cut), rest.Tokens);
                Assert.Equal(WithoutTimes(Last), WithoutTimes(rest.Last));
            }
        }
    }

    private IEnumerable<byte> TextBefore(int token) => Tokens.Take(token).SelectMany(frame => frame.Text);
}
