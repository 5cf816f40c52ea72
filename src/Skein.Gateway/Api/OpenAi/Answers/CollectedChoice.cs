using System.Buffers;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary>What has arrived of one choice of a whole answer. The session's journal bounds its size.</summary>
internal sealed class CollectedChoice
{
    private readonly ArrayBufferWriter<byte> _text = new();
    private readonly List<TokenLogprob> _logprobs = [];
    private JsonObject? _deltas;

    public ReadOnlySpan<byte> Text => _text.WrittenSpan;

    public IReadOnlyList<TokenLogprob> Logprobs => _logprobs;

    public FinishReason Finish { get; private set; }

    /// <summary>As the start frame says; 0 if it does not.</summary>
    public int EchoedCharacters { get; private set; }

    public void Add(GenerateFrame frame)
    {
        if (frame.Start is { } start)
            EchoedCharacters = (int)start.EchoedCharacters;
        _text.Write(frame.Text.Span);
        _logprobs.AddRange(frame.Logprobs);
        if (!RawDelta.Members(frame.RawDelta.Span).IsEmpty)
            RawDelta.Merge(_deltas ??= [], JsonNode.Parse(frame.RawDelta.Span)!.AsObject());
        if (frame.Finish is { } finish)
            Finish = finish.Reason;
    }

    /// <summary>The members of all deltas, merged; empty if there were no deltas.</summary>
    public ReadOnlySpan<byte> MergedDeltas()
    {
        if (_deltas is null)
            return default;
        // The message has these two already.
        _deltas.Remove("role");
        _deltas.Remove("content");
        return JsonSerializer.SerializeToUtf8Bytes<JsonNode>(_deltas).AsSpan()[1..^1];
    }
}
