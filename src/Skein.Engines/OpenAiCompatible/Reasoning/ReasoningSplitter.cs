using System.Buffers;

namespace Skein.Engines.OpenAiCompatible.Reasoning;

/// <summary>
/// Divides the text of an answer into reasoning and content, as the parsers of servers do. Text that may be a part of a mark is held back. Not safe for
/// concurrent use.
/// </summary>
internal sealed class ReasoningSplitter
{
    private readonly byte[] _open;
    private readonly byte[] _close;
    private readonly byte[] _afterOpen;
    private readonly byte[] _afterClose;
    private readonly bool _trims;
    private readonly ArrayBufferWriter<byte> _held = new();
    private readonly ArrayBufferWriter<byte> _reasoning = new();
    private readonly ArrayBufferWriter<byte> _content = new();
    private Part _part;
    private int _skipped;
    private bool _hasReasoning;

    /// <param name="form">The marks.</param>
    /// <param name="begin">Where the answer begins.</param>
    /// <param name="trims">
    /// Whether the white space that the template writes behind the marks, and any at the beginning of the answer, belongs to neither part; a reasoning of white
    /// space alone is then none.
    /// </param>
    public ReasoningSplitter(ReasoningForm form, ReasoningBegin begin, bool trims)
    {
        (_open, _close) = (Encoding.UTF8.GetBytes(form.Open), Encoding.UTF8.GetBytes(form.Close));
        (_afterOpen, _afterClose) = trims ? (Encoding.UTF8.GetBytes(form.AfterOpen), Encoding.UTF8.GetBytes(form.AfterClose)) : ([], []);
        _trims = trims;
        _part = begin switch
        {
            ReasoningBegin.Before => Part.Begin,
            ReasoningBegin.MayRepeatTheMark => Part.BeginOpened,
            _ => Part.Opened,
        };
    }

    private enum Part
    {
        /// <summary>Before the first text: it may begin with the opening mark.</summary>
        Begin,

        /// <summary>Likewise; without the mark it is reasoning all the same.</summary>
        BeginOpened,

        /// <summary>Directly behind the opening mark.</summary>
        Opened,

        Reasoning,

        /// <summary>Directly behind the closing mark.</summary>
        Closed,

        Content,
    }

    private static ReadOnlySpan<byte> Blanks => " \t\r\n"u8;

    /// <summary>Whether the next text is reasoning, as far as is known.</summary>
    public bool IsReasoning => _part is Part.BeginOpened or Part.Opened or Part.Reasoning;

    /// <summary>Reasoning since the last <see cref="Clear"/>.</summary>
    public ReadOnlySpan<byte> Reasoning => _reasoning.WrittenSpan;

    /// <summary>Content since the last <see cref="Clear"/>.</summary>
    public ReadOnlySpan<byte> Content => _content.WrittenSpan;

    public void Clear()
    {
        _reasoning.ResetWrittenCount();
        _content.ResetWrittenCount();
    }

    public void Append(ReadOnlySpan<byte> text)
    {
        if (_part == Part.Content)
        {
            _content.Write(text);
            return;
        }

        _held.Write(text);
        byte[] all = [.. _held.WrittenSpan];
        _held.ResetWrittenCount();
        _held.Write(Divide(all));
    }

    /// <summary>Ends the answer: what was held back is text.</summary>
    public void Flush()
    {
        var rest = _held.WrittenSpan;
        var isReasoning = _part is Part.BeginOpened or Part.Opened or Part.Reasoning;
        if (_trims && (!isReasoning || !_hasReasoning))
            rest = rest.TrimStart(Blanks);

        (isReasoning ? _reasoning : _content).Write(rest);
        _held.ResetWrittenCount();
    }

    /// <returns>What is to be held back.</returns>
    private ReadOnlySpan<byte> Divide(ReadOnlySpan<byte> text)
    {
        if (_part is Part.Begin or Part.BeginOpened)
        {
            var begun = text.TrimStart(Blanks);
            if (begun.Length < _open.Length && _open.AsSpan().StartsWith(begun))
                return text;

            var isMark = begun.StartsWith(_open);
            text = isMark ? begun[_open.Length..] : _trims ? begun : text;
            _part = isMark ? Part.Opened : _part == Part.BeginOpened ? Part.Reasoning : Part.Content;
        }

        if (_part == Part.Opened && HasSkipped(ref text, _afterOpen))
            _part = Part.Reasoning;

        if (_part == Part.Reasoning)
        {
            var end = text.IndexOf(_close);
            if (end < 0)
                return Think(text, Kept(text));

            Think(text[..end], kept: 0, isEnd: true);
            (_part, _skipped) = (Part.Closed, 0);
            text = text[(end + _close.Length)..];
        }

        if (_part == Part.Closed && HasSkipped(ref text, _afterClose))
            _part = Part.Content;

        if (_part == Part.Content)
        {
            _content.Write(text);
            return default;
        }

        return text;
    }

    /// <summary>Adds to the reasoning.</summary>
    /// <returns>What is to be held back.</returns>
    private ReadOnlySpan<byte> Think(ReadOnlySpan<byte> text, int kept, bool isEnd = false)
    {
        _hasReasoning |= !_trims || !text[..^kept].Trim(Blanks).IsEmpty;
        if (!_hasReasoning)
            return isEnd ? default : text;

        _reasoning.Write(text[..^kept]);
        return text[^kept..];
    }

    /// <summary>Skips white space that is written behind a mark; each character of it may be missing.</summary>
    /// <returns>Whether what follows is text.</returns>
    private bool HasSkipped(ref ReadOnlySpan<byte> text, byte[] blanks)
    {
        while (_skipped < blanks.Length && !text.IsEmpty)
        {
            if (text[0] == blanks[_skipped++])
                text = text[1..];
        }

        return _skipped == blanks.Length;
    }

    /// <summary>Bytes at the end that may be a part of the closing mark.</summary>
    private int Kept(ReadOnlySpan<byte> text)
    {
        var mark = Math.Min(text.Length, _close.Length - 1);
        while (mark > 0 && !_close.AsSpan().StartsWith(text[^mark..]))
            mark--;

        return mark;
    }
}

/// <summary>Where an answer begins.</summary>
internal enum ReasoningBegin
{
    /// <summary>Before a reasoning, if there is one.</summary>
    Before,

    /// <summary>Directly behind the opening mark: the prompt ends with it.</summary>
    Behind,

    /// <summary>Inside the reasoning, whose mark the model may write first.</summary>
    MayRepeatTheMark,
}
