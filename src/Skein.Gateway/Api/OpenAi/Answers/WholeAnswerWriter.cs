using System.Buffers;
using System.Text.Json;
using System.Text.Json.Nodes;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary>Collects all choices, and writes one JSON object at the end.</summary>
internal sealed class WholeAnswerWriter(AnswerPlan plan, string sessionId) : IAnswerWriter
{
    private readonly CollectedChoice[] _choices = [.. Enumerable.Range(0, plan.Choices).Select(_ => new CollectedChoice())];
    private Start? _start;
    private UsageTotal _usage;

    public void Write(GenerateFrame frame, IBufferWriter<byte> output)
    {
        _start ??= frame.Start;
        _choices[frame.Choice].Add(frame);
        if (frame.Finish is { } finish)
            _usage.Add(finish.Usage);
    }

    public void Complete(IBufferWriter<byte> output, string? comment)
    {
        var json = new JsonSink(output);
        json.Raw(plan.WriteHead(plan.Format.WholeObject, sessionId, _start ?? new Start()));
        for (var i = 0; i < _choices.Length; i++)
        {
            json.Separate(i);
            plan.Format.WriteWhole(ref json, (uint)i, _choices[i], plan);
        }

        json.Raw("],\"usage\":"u8);
        _usage.Write(ref json);
        json.Raw("}"u8);
        json.Complete();
    }
}

/// <summary>What has arrived of one choice of a whole answer. The session's journal bounds its size.</summary>
internal sealed class CollectedChoice
{
    private readonly ArrayBufferWriter<byte> _text = new();
    private readonly List<TokenLogprob> _logprobs = [];
    private JsonObject? _deltas;

    public ReadOnlySpan<byte> Text => _text.WrittenSpan;

    public IReadOnlyList<TokenLogprob> Logprobs => _logprobs;

    public Finish Finish { get; private set; } = new();

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
            Finish = finish;
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
