using System.Text.Json.Nodes;
using Google.Protobuf;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary>Collects all choices, and writes one JSON object at the end.</summary>
internal sealed class WholeAnswerWriter(AnswerPlan plan, string sessionId) : IAnswerWriter
{
    private readonly CollectedChoice[] _choices = [.. Enumerable.Range(0, plan.Choices).Select(_ => new CollectedChoice())];
    private Start? _start;
    private readonly JsonObject _beside = [];
    private UsageTotal _usage;

    public void Write(GenerateFrame frame, IBufferWriter<byte> output)
    {
        _start ??= frame.Start;
        if (RawDelta.Parse(frame.RawChunk.Span) is { } beside)
            RawDelta.Replace(_beside, beside);
        _choices[frame.Choice].Add(frame);
        if (frame.Finish is { } finish)
            _usage.Add(plan.PromptOf(frame.Choice), finish.Usage);
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

        json.Raw("]"u8);
        if (_usage.IsKnown)
        {
            json.Raw(",\"usage\":"u8);
            _usage.Write(ref json);
        }

        json.Members(RawDelta.MembersOf(_beside));
        json.Raw("}"u8);
        json.Complete();
    }
}

/// <summary>What has arrived of one choice of a whole answer. The session's journal bounds its size.</summary>
internal sealed class CollectedChoice
{
    private readonly ArrayBufferWriter<byte> _text = new();
    private readonly List<TokenLogprob> _logprobs = [];
    private readonly JsonObject _beside = [];
    private JsonObject? _deltas;

    public ReadOnlySpan<byte> Text => _text.WrittenSpan;

    public IReadOnlyList<TokenLogprob> Logprobs => _logprobs;

    /// <summary>Those of the whole answer as the engine sent them; empty if it sent them token by token.</summary>
    public ByteString RawLogprobs { get; private set; } = ByteString.Empty;

    public Finish Finish { get; private set; } = new();

    /// <summary>As the start frame says; 0 if it does not.</summary>
    public uint EchoedCharacters { get; private set; }

    public void Add(GenerateFrame frame)
    {
        if (frame.Start is { } start)
            EchoedCharacters = start.EchoedCharacters;
        _text.Write(frame.Text.Span);
        _logprobs.AddRange(frame.Logprobs);
        if (!frame.RawLogprobs.IsEmpty)
            RawLogprobs = frame.RawLogprobs;
        if (RawDelta.Parse(frame.RawDelta.Span) is { } delta)
            RawDelta.Merge(_deltas ??= [], delta);
        if (RawDelta.Parse(frame.RawChoice.Span) is { } beside)
            RawDelta.Replace(_beside, beside);
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
        // Only streams number the calls.
        foreach (var call in _deltas["tool_calls"] is JsonArray calls ? calls.OfType<JsonObject>() : [])
            call.Remove("index");
        return RawDelta.MembersOf(_deltas);
    }

    /// <summary>The members beside the message; empty if there are none.</summary>
    public ReadOnlySpan<byte> MergedBeside() => RawDelta.MembersOf(_beside);
}
