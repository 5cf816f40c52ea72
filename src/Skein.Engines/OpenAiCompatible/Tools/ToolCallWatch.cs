using System.Buffers;

namespace Skein.Engines.OpenAiCompatible.Tools;

/// <summary>
/// Watches the content of an answer for the beginning of a tool call, which only the server's own parser can read. What may be the beginning of a mark, and
/// white space in front of it, is held back. Not safe for concurrent use.
/// </summary>
internal sealed class ToolCallWatch(ToolCallMarks marks)
{
    private readonly byte[][] _marks = [.. marks.Texts.Select(Encoding.UTF8.GetBytes)];
    private readonly ArrayBufferWriter<byte> _held = new();
    private readonly ArrayBufferWriter<byte> _calls = new();
    private bool _hasContent;

    private static ReadOnlySpan<byte> Blanks => " \t\r\n"u8;

    /// <summary>Whether a call has begun. What follows is not released.</summary>
    public bool HasBegun { get; private set; }

    /// <summary>The calls as the model wrote them, from the first mark on.</summary>
    public string Calls => Encoding.UTF8.GetString(_calls.WrittenSpan);

    /// <summary>Whether text is held back that may be the beginning of a mark.</summary>
    public bool HoldsMark => !_held.WrittenSpan.Trim(Blanks).IsEmpty;

    /// <summary>Whether one of the tokens is a mark.</summary>
    public bool IsMark(IReadOnlyList<uint> ids) => ids.Any(marks.Ids.Contains);

    /// <summary>A call has begun with a token whose text is not shown.</summary>
    public void Begin() => HasBegun = true;

    /// <summary>Adds content, and releases what belongs to no call.</summary>
    public void Append(ReadOnlySpan<byte> content, IBufferWriter<byte> released)
    {
        if (HasBegun)
        {
            _calls.Write(content);
            return;
        }

        if (content.IsEmpty)
            return;

        byte[] all = [.. _held.WrittenSpan, .. content];
        _held.ResetWrittenCount();
        var end = EndOfContent(all);
        released.Write(all.AsSpan(0, end));
        _hasContent |= !all.AsSpan(0, end).Trim(Blanks).IsEmpty;
        (HasBegun ? _calls : _held).Write(all.AsSpan(end));
    }

    /// <summary>Ends the answer: what was held back is content.</summary>
    public void Flush(IBufferWriter<byte> released)
    {
        released.Write(_held.WrittenSpan);
        _held.ResetWrittenCount();
    }

    private int EndOfContent(ReadOnlySpan<byte> text)
    {
        if (marks.IsOnlyFirst)
        {
            HasBegun = !_hasContent && text.TrimStart(Blanks).StartsWith(_marks[0]);
            return HasBegun ? 0 : WithoutBlanks(text, text.Length);
        }

        var first = -1;
        foreach (var mark in _marks)
        {
            var at = text.IndexOf(mark);
            first = at >= 0 && (first < 0 || at < first) ? at : first;
        }

        HasBegun = first >= 0;
        return WithoutBlanks(text, HasBegun ? first : text.Length - LongestPart(text));
    }

    // Bytes at the end that may be the beginning of a mark.
    private int LongestPart(ReadOnlySpan<byte> text)
    {
        var longest = 0;
        foreach (var mark in _marks)
        {
            for (var length = Math.Min(text.Length, mark.Length - 1); length > longest; length--)
            {
                if (mark.AsSpan().StartsWith(text[^length..]))
                    longest = length;
            }
        }

        return longest;
    }

    private static int WithoutBlanks(ReadOnlySpan<byte> text, int end) => text[..end].TrimEnd(Blanks).Length;
}
