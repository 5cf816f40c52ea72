using System.Text;
using System.Text.Json;
using Google.Protobuf;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Engines.Text;
using Skein.Protocol.V1;

namespace Skein.Engines.OpenAiCompatible.Texts;

/// <summary>
/// One answer in events: takes deltas, gives frames. Tool calls are kept back and come whole, in the last frame. Synchronous; not safe for concurrent use.
/// </summary>
internal sealed class TextAnswer
{
    private readonly GenerateRequest _request;
    private readonly AnswerText _text;
    private readonly HeldToolCalls _calls;
    private uint _next;
    private FinishReason _end;
    private string _matchedStop = "";
    private Usage? _usage;

    /// <param name="request">What is answered.</param>
    /// <param name="engine">The server, for messages.</param>
    public TextAnswer(GenerateRequest request, string engine)
    {
        _request = request;
        _calls = new HeldToolCalls(engine);
        _next = request.Resume?.NextIndex ?? 0;
        var echo = request.Echo ? Encoding.UTF8.GetBytes(request.Text) : [];
        _text = new AnswerText(request.Stop, echo);
        var delivered = (request.Resume?.Text ?? ByteString.Empty).Span;
        if (!delivered.StartsWith(echo) && !delivered.IsEmpty)
        {
            throw new EngineException(EngineError.ResumeRefused, $"resume.text, {delivered.Length} bytes, does not begin with the echoed prompt");
        }

        _text.Append(delivered.IsEmpty ? default : delivered[echo.Length..]);
        if (!_text.TrySkip(delivered))
        {
            throw new EngineException(
                EngineError.ResumeRefused,
                $"resume.text, {delivered.Length} bytes, holds a stop text or ends with the beginning of one; such text is never delivered");
        }
    }

    /// <summary>Whether nothing is left to be asked for. An index is no token: that max_tokens is reached is as near as can be known.</summary>
    public bool IsComplete => IsStopped || (_request.HasMaxTokens && _next >= _request.MaxTokens);

    /// <summary>Whether a stop text ended it here: what the server still sends does not count.</summary>
    public bool IsStopped => _text.MatchedStop is not null;

    /// <summary>Whether server or stop text have ended it.</summary>
    public bool HasEnded => IsStopped || _end != FinishReason.Unspecified;

    /// <summary>Takes what is told beside the choices.</summary>
    public void Note(JsonElement data)
    {
        if (data.Member("usage") is { } usage && usage.Whole("prompt_tokens") is { } prompt && usage.Whole("completion_tokens") is { } completion)
        {
            _usage = new Usage
            {
                PromptTokens = (uint)prompt,
                CompletionTokens = (uint)completion,
                CachedPromptTokens = (uint)(usage.Member("prompt_tokens_details")?.Whole("cached_tokens") ?? 0),
            };
        }
    }

    /// <summary>
    /// The delta's frame; null where it says nothing of the answer. A frame without anything in it says that the server goes on with a tool call.
    /// </summary>
    public GenerateFrame? Add(TextDelta delta)
    {
        if (delta.End != FinishReason.Unspecified)
        {
            (_end, _matchedStop) = (delta.End, delta.MatchedStop);
        }

        if (delta.IsEmpty || IsStopped)
        {
            return null;
        }

        if (delta.ToolCalls is { } pieces)
        {
            _calls.Add(pieces);
        }

        if (delta.FunctionCall is { } piece)
        {
            _calls.AddOlder(piece);
        }

        var frame = NextFrame(Encoding.UTF8.GetBytes(delta.Text), (uint)Math.Max(1, delta.Logprobs.Count));
        frame.RawDelta = ByteString.CopyFrom(delta.Raw.Span);
        frame.Logprobs.Add(delta.Logprobs);
        return frame;
    }

    /// <summary>The frame of a delta that is nothing but text; null where it is empty.</summary>
    public GenerateFrame? AddText(ReadOnlySpan<byte> text) => text.IsEmpty || IsStopped ? null : NextFrame(text, 1);

    private GenerateFrame NextFrame(ReadOnlySpan<byte> text, uint count)
    {
        _text.Append(text);
        var frame = new GenerateFrame { FirstIndex = _next, Count = count, Text = ByteString.CopyFrom(_text.Take()) };
        _next += count;
        return frame;
    }

    /// <summary>
    /// The last frame, with the tool calls. Usage is as the server counted it: told only where it counted the whole answer, which it did not where the answer was
    /// resumed or cut here.
    /// </summary>
    public GenerateFrame Finish()
    {
        _text.Flush();
        return new GenerateFrame
        {
            FirstIndex = _next,
            Text = ByteString.CopyFrom(_text.Take()),
            RawDelta = ByteString.CopyFrom(_calls.ToDelta()),
            Finish = new Finish
            {
                Reason = IsStopped ? FinishReason.Stop : _end == FinishReason.Unspecified ? FinishReason.Length : _end,
                MatchedStop = _text.MatchedStop ?? _matchedStop,
                Usage = _request.Resume is null && !IsStopped ? _usage : null,
            },
        };
    }
}
