using System.Text;
using Google.Protobuf;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.Embedded;

/// <summary>All frames of one answer, checked for what every answer must keep to.</summary>
internal sealed record Transcript(Start Start, IReadOnlyList<GenerateFrame> Tokens, GenerateFrame Last)
{
    public IEnumerable<uint> Ids => Tokens.SelectMany(frame => frame.TokenIds);

    public string Text => Encoding.UTF8.GetString(TextBefore(Tokens.Count).Concat(Last.Text).ToArray());

    public static async Task<Transcript> Of(IInferenceEngine engine, GenerateRequest request, CancellationToken cancellationToken = default)
    {
        var frames = new List<GenerateFrame>();
        var strict = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
        await foreach (var frame in engine.GenerateAsync(request, cancellationToken))
        {
            strict.GetString(frame.Text.Span); // whole characters
            Assert.Equal(frames.Count == 0, frame.Start is not null);
            frames.Add(frame);
        }

        var first = request.Resume?.NextIndex ?? 0;
        Assert.Equal(first, frames[0].Start.ResumedAt);
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
        NextIndex = (uint)tokens,
        PromptTokenIds = { Start.PromptTokenIds },
        Fingerprint = Start.Fingerprint,
    };

    /// <summary>Kills the answer after every token, lets <paramref name="survivor"/> go on, and expects the very same rest.</summary>
    public async Task AssertSameAfterAnyCut(IInferenceEngine survivor, GenerateRequest request)
    {
        for (var cut = 0; cut <= Tokens.Count; cut++)
        {
            var resumed = await Of(survivor, new GenerateRequest(request) { Resume = JournalAfter(cut) });
            Assert.Equal(Tokens.Skip(cut), resumed.Tokens);
            Assert.Equal(Last, resumed.Last);
        }
    }

    private IEnumerable<byte> TextBefore(int token) => Tokens.Take(token).SelectMany(frame => frame.Text);
}
