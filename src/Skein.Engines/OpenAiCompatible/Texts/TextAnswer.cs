using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Engines.Text;

namespace Skein.Engines.OpenAiCompatible.Texts;

/// <summary>
/// Turns the deltas of one answer into frames. Tool calls are held back and sent whole in the last frame, unless the request wants them in pieces. Not safe
/// for concurrent use.
/// </summary>
internal sealed class TextAnswer
{
    private const string Fingerprint = "system_fingerprint";

    private static readonly string[] ChunkMembers = ["id", "object", "created", "model", "choices", "usage", "error"];

    private readonly GenerateRequest _request;
    private readonly int? _promptTokens;
    private readonly AnswerText _text;
    private readonly string _engine;
    private HeldToolCalls? _calls;
    private uint _next;
    private AnswerEnd _end;
    private string _matchedStop = "";
    private Usage? _usage;
    private ReadOnlyMemory<byte> _chunk;
    private ReadOnlyMemory<byte> _lastChoice;

    /// <param name="promptTokens">Tokens of the client's prompt, where the answer is resumed; null: not known.</param>
    /// <param name="watchesStops">Whether stop texts are looked for: false where the server itself ends the answer at them.</param>
    /// <exception cref="FaultException">What was delivered does not fit.</exception>
    public TextAnswer(GenerateRequest request, string engine, int? promptTokens = null, bool watchesStops = true)
    {
        (_request, _engine, _promptTokens) = (request, engine, promptTokens);
        _next = request.Resume?.NextIndex ?? 0;
        Echo = request.Echo ? Encoding.UTF8.GetBytes(request.Text) : [];
        _text = new AnswerText(watchesStops ? request.Stop : [], Echo);
        var delivered = (request.Resume?.Text ?? ByteString.Empty).Span;
        if (!delivered.StartsWith(Echo) && !delivered.IsEmpty)
            throw new FaultException(Fault.ResumeRefused, $"resume.text, {delivered.Length} bytes, does not begin with the echoed prompt");

        _text.Append(delivered.IsEmpty ? default : delivered[Echo.Length..]);
        if (!_text.TrySkip(delivered))
        {
            throw new FaultException(
                Fault.ResumeRefused,
                $"resume.text, {delivered.Length} bytes, contains a stop text or ends with the beginning of one; such text is never delivered");
        }
    }

    private HeldToolCalls Calls => _calls ??= new HeldToolCalls(_engine);

    public byte[] Echo { get; }

    /// <summary>Whether the server's own name for its configuration was sent. It is the same in all events.</summary>
    public bool KnowsFingerprint { get; set; }

    /// <summary>Whether no more text is needed. An index is an event, not a token: reaching max_tokens is an approximation.</summary>
    public bool IsComplete => IsStopped || (_request.HasMaxTokens && _next >= _request.MaxTokens);

    /// <summary>Whether the adapter found a stop text: later text of the server does not count.</summary>
    public bool IsStopped => _text.MatchedStop is not null;

    /// <summary>Whether the server or a stop text ended the answer.</summary>
    public bool HasEnded => IsStopped || _end.IsEnd;

    /// <summary>Reads the members beside the choices.</summary>
    /// <param name="hidden">A member that is not for the client; null: none.</param>
    /// <returns>Whether the server counted the answer.</returns>
    public bool Note(JsonElement data, string? hidden = null)
    {
        var taken = KnowsFingerprint ? [.. ChunkMembers, Fingerprint] : ChunkMembers;
        _chunk = RawMembers.Join(_chunk, RawMembers.Except(data, hidden is null ? taken : [.. taken, hidden]));
        KnowsFingerprint |= data.Text(Fingerprint) is not null;
        if (data.Member("usage") is not { } usage || usage.Whole("prompt_tokens") is not { } prompt || usage.Whole("completion_tokens") is not { } completion)
            return false;

        // On a resumed answer the server counts what was delivered as a part of the prompt: one index is about one token.
        var resumed = (int)(_request.Resume?.NextIndex ?? 0);
        prompt = resumed == 0 ? prompt : _promptTokens ?? Math.Max(0, prompt - resumed);
        _usage = new Usage { PromptTokens = (uint)Math.Max(0, prompt), CompletionTokens = (uint)Math.Max(0, completion + resumed) };
        if (resumed > 0)
            _usage.Raw = ByteString.CopyFrom(TextUsage.OfResumed(usage, prompt, hasReasoning: !_request.Resume!.RawDeltas.IsEmpty));
        else
        {
            _usage.Raw = ByteString.CopyFrom(JsonMarshal.GetRawUtf8Value(usage));
            if (usage.Member("prompt_tokens_details")?.Whole("cached_tokens") is >= 0 and { } cached)
                _usage.CachedPromptTokens = (uint)cached;
        }

        return true;
    }

    /// <summary>The members beside the choices of an event that has none, as a frame; null if there are none to send now.</summary>
    public GenerateFrame? AddMembers() => Members(default);

    /// <summary>The frame of a delta; null if it adds nothing. An empty frame shows that the server continues with a tool call.</summary>
    public GenerateFrame? Add(TextDelta delta)
    {
        if (IsStopped)
            return null;

        // What comes with the end belongs to the last frame.
        if (delta.End.IsEnd)
            (_end, _matchedStop, _lastChoice) = (delta.End, delta.MatchedStop, delta.Choice);

        if (delta.IsEmpty)
            return Members(delta.Choice);

        if (delta.ToolCalls is { } pieces)
            Calls.Add(pieces);

        if (delta.FunctionCall is { } piece)
            Calls.AddOlder(piece);

        var frame = NextFrame(Encoding.UTF8.GetBytes(delta.Text), (uint)(delta.Ids?.Length ?? Math.Max(1, delta.Logprobs.Count)));
        frame.RawDelta = ByteString.CopyFrom((_request.StreamToolCalls ? delta.RawWithCalls() : delta.Raw).Span);
        frame.TokenIds.Add(delta.Ids ?? []);
        if (delta.Logprobs.Count == frame.Count)
            frame.Logprobs.Add(delta.Logprobs);
        if (!HasEnded)
        {
            (frame.RawChoice, frame.RawChunk) = (ByteString.CopyFrom(delta.Choice.Span), ByteString.CopyFrom(_chunk.Span));
            _chunk = default;
        }

        return frame;
    }

    /// <summary>The frame of a delta that contains only text; null if it is empty.</summary>
    public GenerateFrame? AddText(ReadOnlySpan<byte> text) => text.IsEmpty || IsStopped ? null : NextFrame(text, 1);

    // A resumed answer does not repeat what the client has got before its first token.
    private GenerateFrame? Members(ReadOnlyMemory<byte> choice)
    {
        if (HasEnded || (choice.IsEmpty && _chunk.IsEmpty) || _request.Resume is { NextIndex: > 0 })
            return null;

        var frame = new GenerateFrame { FirstIndex = _next, RawChoice = ByteString.CopyFrom(choice.Span), RawChunk = ByteString.CopyFrom(_chunk.Span) };
        _chunk = default;
        return frame;
    }

    private GenerateFrame NextFrame(ReadOnlySpan<byte> text, uint count)
    {
        _text.Append(text);
        var frame = new GenerateFrame { FirstIndex = _next, Count = count, Text = ByteString.CopyFrom(_text.Take()) };
        _next += count;
        return frame;
    }

    /// <summary>
    /// The last frame, with the tool calls and the members of the last event. It has usage only if the server counted the answer, which was then not cut by a
    /// stop text.
    /// </summary>
    public GenerateFrame Finish()
    {
        var reason = _end.IsEnd ? _end.Reason : FinishReason.Length;
        var frame = AnswerFrames.Finish(_text, _next, reason, IsStopped ? null : _usage, _matchedStop, _end.Word);
        frame.RawDelta = _request.StreamToolCalls || _calls is null ? ByteString.Empty : ByteString.CopyFrom(_calls.ToDelta());
        (frame.RawChoice, frame.RawChunk) = (ByteString.CopyFrom(_lastChoice.Span), ByteString.CopyFrom(_chunk.Span));
        return frame;
    }
}
