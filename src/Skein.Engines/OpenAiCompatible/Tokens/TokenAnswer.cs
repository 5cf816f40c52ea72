using Skein.Engines.OpenAiCompatible.Reasoning;
using Skein.Engines.OpenAiCompatible.Texts;
using Skein.Engines.OpenAiCompatible.Tools;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Engines.Requests;
using Skein.Engines.Text;

namespace Skein.Engines.OpenAiCompatible.Tokens;

/// <summary>Turns the steps of one answer into frames. Not safe for concurrent use.</summary>
internal sealed class TokenAnswer
{
    private readonly TokenCall _call;
    private readonly AnswerText _text;
    private readonly SplitAnswer? _split;
    private readonly IAnswerUsage? _usage;
    private bool _trimsBegin;
    private int _count;
    private int _endTokens;
    private int? _cached;
    private IReadOnlyList<TokenLogprob> _endLogprobs = [];
    private ReadOnlyMemory<byte> _lastChoice;
    private ReadOnlyMemory<byte> _lastChunk;
    private ReadOnlyMemory<byte> _usageMembers;

    /// <summary>Continues the call's answer, whose text so far may end inside a character.</summary>
    /// <param name="split">Divides the text into reasoning and content; null: all of it is content.</param>
    /// <param name="usage">What the usage has beside the counts; null: what the steps tell.</param>
    /// <param name="trimsBegin">Whether white space at the beginning of the answer is dropped.</param>
    /// <exception cref="FaultException">What was delivered does not fit.</exception>
    public TokenAnswer(
        TokenCall call, ReadOnlySpan<byte> echo, ReadOnlySpan<byte> answerText, SplitAnswer? split = null, IAnswerUsage? usage = null,
        bool trimsBegin = false)
    {
        (_call, _count, _split, _usage, _trimsBegin) = (call, call.Answer.Count, split, usage, trimsBegin);
        usage?.Add(call.Answer);
        _text = new AnswerText(call.Request.Stop, echo);
        _text.Append(answerText);
        if (split is not null)
        {
            split.Append(_text.Take());
            return;
        }

        var delivered = call.Request.Resume?.Text ?? ByteString.Empty;
        if (trimsBegin && !delivered.IsEmpty)
        {
            SkipWhiteSpace();
            _trimsBegin = false;
        }

        if (!_text.TrySkip(delivered.Span))
            throw RequestChecks.ResumeRefused($"resume.text, {delivered.Length} bytes, is not how the text of resume.token_ids begins");
    }

    /// <summary>Whether tokens that show nothing have no log probabilities.</summary>
    public bool HasShownLogprobsOnly { get; init; }

    /// <summary>Whether a tool call has begun, which only the server's chat call reads.</summary>
    public bool HasCallBegun => _split is { HasCallBegun: true };

    /// <summary>The delta of the calls, if the last frame is the answer's end; empty: they are cut, or of another form.</summary>
    public ReadOnlyMemory<byte> CallsIn(ToolCallForm form) => _split is null ? default : form.Read(_split.Calls);

    public bool IsComplete => IsStopped || (_call.MaxTokens is { } most && _count >= most);

    /// <summary>Whether a stop text ended the answer: later tokens of the server do not count.</summary>
    public bool IsStopped => _text.MatchedStop is not null;

    /// <summary>Notes what the server had in its cache; null: it does not say.</summary>
    public void CountCached(int? tokens) => _cached = tokens ?? _cached;

    /// <summary>Notes what the server counts.</summary>
    public void Count(TokenStep step)
    {
        if (step.HasEndToken)
        {
            _endTokens = 1;
            _usage?.AddEnd();
        }

        if (step.End.IsEnd)
            (_lastChoice, _lastChunk, _endLogprobs) = (step.Choice, step.Chunk, step.Ids.Count == 0 ? step.Logprobs : []);
        else if (!step.ChunkOfStop.IsEmpty)
            _lastChunk = step.ChunkOfStop;

        CountCached(step.CachedTokens);
        _usageMembers = step.UsageMembers.IsEmpty ? _usageMembers : step.UsageMembers;
    }

    public GenerateFrame Add(TokenStep step)
    {
        var frame = new GenerateFrame { FirstIndex = (uint)_count, Count = (uint)step.Ids.Count };
        frame.TokenIds.Add(step.Ids);
        frame.Logprobs.Add(step.Logprobs);
        _count += step.Ids.Count;
        _split?.Note(step.Ids);
        _usage?.Add(step.Ids);
        _text.Append(step.Text.Span);
        Show(frame, _text.Take());
        if (HasShownLogprobsOnly && frame is { Text.IsEmpty: true, RawDelta.IsEmpty: true })
            frame.Logprobs.Clear();

        if (!step.End.IsEnd)
            (frame.RawChoice, frame.RawChunk) = (ByteString.CopyFrom(step.Choice.Span), ByteString.CopyFrom(step.Chunk.Span));

        return frame;
    }

    /// <param name="end">The server's reason; unspecified if the answer was complete without it.</param>
    /// <param name="stopMember">See <see cref="ITokenDialect.StopMember"/>.</param>
    public GenerateFrame Finish(AnswerEnd end, string? stopMember)
    {
        var frame = AnswerFrames.Finish(_text, (uint)_count, end.IsEnd ? end.Reason : FinishReason.Length, Counted(), rawReason: end.Word);
        Show(frame, frame.Text.Span, isLast: true);

        if (_text.MatchedStop is { } stop && stopMember is not null)
            _lastChoice = new RequestJson().Text(stopMember, stop).ToBytes();

        // A streamed chat has none of a token that shows nothing.
        if (!IsStopped && (_call.Request.Chat is null || _call.Request.Whole))
            frame.Logprobs.Add(_endLogprobs);

        // What comes with the end belongs to the last frame.
        (frame.RawChoice, frame.RawChunk) = (ByteString.CopyFrom(_lastChoice.Span), ByteString.CopyFrom(_lastChunk.Span));
        return frame;
    }

    private void SkipWhiteSpace()
    {
        while (_text.TrySkip(" "u8) || _text.TrySkip("\n"u8) || _text.TrySkip("\t"u8) || _text.TrySkip("\r"u8))
        {
        }
    }

    private void Show(GenerateFrame frame, ReadOnlySpan<byte> text, bool isLast = false)
    {
        if (_split is null)
        {
            // Stop texts are looked for in the whole text: the server drops white space after that.
            text = _trimsBegin ? text.TrimStart(" \t\r\n"u8) : text;
            _trimsBegin &= text.IsEmpty;
            frame.Text = ByteString.CopyFrom(text);
            return;
        }

        _split.Append(text, isLast);
        _split.Take(frame);
    }

    // The token that ends an answer counts.
    private Usage Counted()
    {
        var usage = new Usage { PromptTokens = (uint)_call.Prompt.Count, CompletionTokens = (uint)(_count + (IsStopped ? 0 : _endTokens)) };
        if (_cached is >= 0 and { } cached)
            usage.CachedPromptTokens = (uint)(_call.Answer.Count == 0 ? cached : TextUsage.CachedOfPrompt(cached, _call.Prompt.Count));

        usage.Raw = ByteString.CopyFrom((_usage?.Members is { IsEmpty: false } members ? members : _usageMembers).Span);
        return usage;
    }
}
