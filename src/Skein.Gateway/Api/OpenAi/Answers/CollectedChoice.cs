using System.Buffers;
using System.Text.Json;
using System.Text.Json.Nodes;
using Skein.Protocol.V1;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary>One choice of a whole answer, as far as it has come. The session's journal bounds its size.</summary>
internal sealed class CollectedChoice
{
    private readonly ArrayBufferWriter<byte> _text = new();
    private readonly List<TokenLogprob> _logprobs = [];
    private JsonObject? _deltas;

    public ReadOnlySpan<byte> Text => _text.WrittenSpan;

    public IReadOnlyList<TokenLogprob> Logprobs => _logprobs;

    public FinishReason Finish { get; private set; }

    /// <summary>As the replica told; 0 where it did not.</summary>
    public int EchoedCharacters { get; private set; }

    public void Add(GenerateFrame frame)
    {
        if (frame.Start is { } start)
            EchoedCharacters = (int)start.EchoedCharacters;
        _text.Write(frame.Text.Span);
        _logprobs.AddRange(frame.Logprobs);
        if (!RawDelta.Members(frame.RawDelta.Span).IsEmpty)
            RawDelta.Merge(_deltas ??= [], Parse(frame));
        if (frame.Finish is { } finish)
            Finish = finish.Reason;
    }

    /// <summary>Members of all deltas merged; empty where there were none.</summary>
    public ReadOnlySpan<byte> MergedDeltas()
    {
        if (_deltas is null)
            return default;
        // The message has these two members of its own.
        _deltas.Remove("role");
        _deltas.Remove("content");
        return RawDelta.Members(JsonSerializer.SerializeToUtf8Bytes<JsonNode>(_deltas));
    }

    private static JsonObject Parse(GenerateFrame frame) => JsonNode.Parse(frame.RawDelta.Span) as JsonObject
        ?? throw new InvalidDataException("the replica sent a delta that is not a JSON object");
}
