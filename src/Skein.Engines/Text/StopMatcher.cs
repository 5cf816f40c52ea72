namespace Skein.Engines.Text;

/// <summary>Finds one stop text in a stream of bytes, in constant time per byte and without looking back (Knuth, Morris and Pratt, 1977).</summary>
internal sealed class StopMatcher
{
    private readonly byte[] _pattern;

    // _border[i]: length of the longest proper prefix of the pattern that ends its first i + 1 bytes.
    private readonly int[] _border;

    public StopMatcher(string text)
    {
        ArgumentException.ThrowIfNullOrEmpty(text);
        Text = text;
        _pattern = Encoding.UTF8.GetBytes(text);
        _border = new int[_pattern.Length];
        for (int i = 1, length = 0; i < _pattern.Length; i++)
        {
            length = Extend(length, _pattern[i]);
            _border[i] = length;
        }
    }

    public string Text { get; }

    /// <summary>Length of the stop text in bytes.</summary>
    public int Length => _pattern.Length;

    /// <summary>Number of bytes at the end of the stream that may begin the stop text.</summary>
    public int Matched { get; private set; }

    /// <summary>Adds the next byte; true if it completes the stop text. Must not be called again after that.</summary>
    public bool Advance(byte unit)
    {
        Matched = Extend(Matched, unit);
        return Matched == _pattern.Length;
    }

    private int Extend(int matched, byte unit)
    {
        while (matched > 0 && _pattern[matched] != unit)
            matched = _border[matched - 1];

        return _pattern[matched] == unit ? matched + 1 : 0;
    }
}
