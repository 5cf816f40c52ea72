namespace Skein.Engines.Text;

/// <summary>
/// Builds the text of an answer from the bytes of its tokens. Releases whole UTF-8 characters only, and holds back what may become a stop text.
/// </summary>
/// <remarks>
/// The text depends on the bytes alone, not on how they are cut into tokens. Bytes that are not UTF-8 become one U+FFFD per maximal ill-formed part
/// (Unicode, section 3.9). Of several stop texts the one completed first counts; of those completed by the same byte, the longest.
/// A resumed answer is therefore rebuilt by replaying all its tokens and skipping what was delivered:
/// <code>
/// foreach (var id in resume.TokenIds) text.Append(BytesOf(id));
/// if (!text.TrySkip(resume.Text.Span)) refuse;
/// </code>
/// Not safe for concurrent use.
/// </remarks>
internal sealed class AnswerText
{
    private readonly StopMatcher[] _stops;
    private readonly byte[] _character = new byte[4];
    private int _characterLength;
    private byte[] _text;
    private int _taken;
    private int _released;
    private int _length;

    /// <param name="stops">Texts that end the answer and are not part of it; none of them empty.</param>
    /// <param name="echo">Whole characters in front of the answer, in which no stop text is looked for.</param>
    public AnswerText(IEnumerable<string> stops, ReadOnlySpan<byte> echo = default)
    {
        _stops = [.. stops.Select(stop => new StopMatcher(stop))];
        _text = new byte[echo.Length + 64];
        echo.CopyTo(_text);
        _released = _length = echo.Length;
    }

    /// <summary>Number of Unicode code points in whole characters of UTF-8.</summary>
    public static int Characters(ReadOnlySpan<byte> utf8)
    {
        var count = 0;
        foreach (var unit in utf8)
            count += (unit & 0xC0) == 0x80 ? 0 : 1;
        return count;
    }

    /// <summary>The stop text that ended the answer; null if none did yet. Bytes appended later are ignored.</summary>
    public string? MatchedStop { get; private set; }

    public void Append(ReadOnlySpan<byte> token)
    {
        foreach (var unit in token)
        {
            _character[_characterLength++] = unit;
            Assemble(isLast: false);
        }

        _released = MatchedStop is null ? _length - LongestPartialStop() : _length;
    }

    /// <summary>Ends the answer: releases what was held back.</summary>
    public void Flush()
    {
        Assemble(isLast: true);
        _released = _length;
    }

    /// <summary>Drops delivered text from the front of what <see cref="Take"/> would return. False, without a change, if that does not begin with it.</summary>
    public bool TrySkip(ReadOnlySpan<byte> delivered)
    {
        var begins = _text.AsSpan(_taken.._released).StartsWith(delivered);
        _taken += begins ? delivered.Length : 0;
        return begins;
    }

    /// <summary>Returns the text released since the last call: whole characters. Valid until the next call of any method.</summary>
    public ReadOnlySpan<byte> Take()
    {
        var start = _taken;
        _taken = _released;
        return _text.AsSpan(start.._released);
    }

    // A byte that cannot follow makes the bytes before it ill-formed and may itself begin a character, hence the loop.
    private void Assemble(bool isLast)
    {
        Span<byte> utf8 = stackalloc byte[4];
        while (_characterLength > 0)
        {
            var status = Rune.DecodeFromUtf8(_character.AsSpan(0, _characterLength), out var rune, out var consumed);
            if (status == System.Buffers.OperationStatus.NeedMoreData && !isLast)
                return;

            foreach (var unit in utf8[..rune.EncodeToUtf8(utf8)])
                Write(unit);

            _character.AsSpan(consumed.._characterLength).CopyTo(_character);
            _characterLength -= consumed;
        }
    }

    private void Write(byte unit)
    {
        if (MatchedStop is not null)
            return;

        EnsureCapacity();
        _text[_length++] = unit;
        StopMatcher? matched = null;
        foreach (var stop in _stops)
        {
            if (stop.Advance(unit) && stop.Length > (matched?.Length ?? 0))
                matched = stop;
        }

        if (matched is not null)
        {
            MatchedStop = matched.Text;
            _length -= matched.Length;
        }
    }

    private void EnsureCapacity()
    {
        if (_length < _text.Length)
            return;

        var kept = _text.AsSpan(_taken.._length);
        var target = kept.Length > _text.Length / 2 ? new byte[_text.Length * 2] : _text;
        kept.CopyTo(target);
        (_text, _released, _length, _taken) = (target, _released - _taken, kept.Length, 0);
    }

    private int LongestPartialStop()
    {
        var longest = 0;
        foreach (var stop in _stops)
            longest = Math.Max(longest, stop.Matched);

        return longest;
    }
}
