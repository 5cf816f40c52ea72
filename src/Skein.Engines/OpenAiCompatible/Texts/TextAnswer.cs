using Google.Protobuf;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Engines.Text;

namespace Skein.Engines.OpenAiCompatible.Texts;

/// <summary>Turns the deltas of one answer into frames. Tool calls are held back and sent whole in the last frame. Not safe for concurrent use.</summary>
internal sealed class TextAnswer
{
    private readonly GenerateRequest _request;
    private readonly AnswerText _text;
    private readonly HeldToolCalls _calls;
    private uint _next;
    private AnswerEnd _end;
    private string _matchedStop = "";
    private Usage? _usage;

    /// <exception cref="FaultException">What was delivered does not fit.</exception>
    public TextAnswer(GenerateRequest request, string engine)
    {
        _request = request;
        _calls = new HeldToolCalls(engine);
        _next = request.Resume?.NextIndex ?? 0;
        Echo = request.Echo ? Encoding.UTF8.GetBytes(request.Text) : [];
        _text = new AnswerText(request.Stop, Echo);
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

    /// <summary>Text in front of the answer.</summary>
    public byte[] Echo { get; }

    /// <summary>Whether no more text is needed. An index is an event, not a token: reaching max_tokens is an approximation.</summary>
    public bool IsComplete => IsStopped || (_request.HasMaxTokens && _next >= _request.MaxTokens);

    /// <summary>Whether the adapter found a stop text: later text of the server does not count.</summary>
    public bool IsStopped => _text.MatchedStop is not null;

    /// <summary>Whether the server or a stop text ended the answer.</summary>
    public bool HasEnded => IsStopped || _end.IsEnd;

    /// <summary>Reads the members beside the choices.</summary>
    /// <returns>Whether the server counted the answer.</returns>
    public bool Note(JsonElement data)
    {
        if (data.Member("usage") is { } usage && usage.Whole("prompt_tokens") is { } prompt && usage.Whole("completion_tokens") is { } completion)
        {
            _usage = new Usage
            {
                PromptTokens = (uint)prompt,
                CompletionTokens = (uint)completion,
                CachedPromptTokens = (uint)(usage.Member("prompt_tokens_details")?.Whole("cached_tokens") ?? 0),
            };
            return true;
        }

        return false;
    }

    /// <summary>The frame of a delta; null if it adds nothing. An empty frame shows that the server continues with a tool call.</summary>
    public GenerateFrame? Add(TextDelta delta)
    {
        if (delta.End.IsEnd)
            (_end, _matchedStop) = (delta.End, delta.MatchedStop);

        if (delta.IsEmpty || IsStopped)
            return null;

        if (delta.ToolCalls is { } pieces)
            _calls.Add(pieces);

        if (delta.FunctionCall is { } piece)
            _calls.AddOlder(piece);

        var frame = NextFrame(Encoding.UTF8.GetBytes(delta.Text), (uint)Math.Max(1, delta.Logprobs.Count));
        frame.RawDelta = ByteString.CopyFrom(delta.Raw.Span);
        frame.Logprobs.Add(delta.Logprobs);
        return frame;
    }

    /// <summary>The frame of a delta that contains only text; null if it is empty.</summary>
    public GenerateFrame? AddText(ReadOnlySpan<byte> text) => text.IsEmpty || IsStopped ? null : NextFrame(text, 1);

    private GenerateFrame NextFrame(ReadOnlySpan<byte> text, uint count)
    {
        _text.Append(text);
        var frame = new GenerateFrame { FirstIndex = _next, Count = count, Text = ByteString.CopyFrom(_text.Take()) };
        _next += count;
        return frame;
    }

    /// <summary>
    /// The last frame, with the tool calls. It has usage only if the server counted the whole answer, which was then neither resumed nor cut by a stop text.
    /// </summary>
    public GenerateFrame Finish()
    {
        var reason = _end.IsEnd ? _end.Reason : FinishReason.Length;
        var frame = AnswerFrames.Finish(_text, _next, reason, _request.Resume is null && !IsStopped ? _usage : null, _matchedStop, _end.Word);
        frame.RawDelta = ByteString.CopyFrom(_calls.ToDelta());
        return frame;
    }
}
