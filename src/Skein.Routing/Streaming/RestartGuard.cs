using System.Text;

namespace Skein.Routing.Streaming;

/// <summary>What to do with the frames of a resumed attempt.</summary>
internal enum GuardVerdict
{
    /// <summary>Keep them: it is not clear yet whether the server continues.</summary>
    Hold,

    /// <summary>The server continues: all frames so far are let through.</summary>
    Release,

    /// <summary>The server began the answer anew, or may have: the attempt is given up.</summary>
    Restarted,
}

/// <summary>
/// Recognises a server that begins an answer anew instead of continuing its text: the new text is held back while it may be the beginning of the delivered
/// one. Synchronous, without time; belongs to one attempt.
/// </summary>
/// <remarks>
/// An answer that repeats itself ("la la la") is continued by a text that begins like the delivered one. That cannot be told from a restart, so it counts as
/// one: the answer is then generated again from its start and compared, which is right in both cases. The same goes for a text that differs early, but has
/// most of its words in common with the delivered one.
/// </remarks>
internal sealed class RestartGuard
{
    /// <summary>Bytes that are compared at most.</summary>
    public const int MostBytes = 64;

    /// <summary>Equal bytes after which a difference no longer shows that the server continues.</summary>
    public const int SuspiciousBytes = 16;

    /// <summary>Fewer equal bytes are a coincidence.</summary>
    public const int LeastBytes = 4;

    /// <summary>Most frames that are held, with text or without.</summary>
    private const int MostFrames = 256;

    private readonly byte[] _delivered;
    private readonly bool _hasStructure;
    private readonly List<GenerateFrame> _held = [];
    private readonly byte[] _text = new byte[MostBytes];
    private int _length;

    private RestartGuard(byte[] delivered, bool hasStructure) => (_delivered, _hasStructure) = (delivered, hasStructure);

    private static ReadOnlySpan<byte> Blanks => " \t\r\n"u8;

    private ReadOnlySpan<byte> Text => _text.AsSpan(0, _length);

    /// <summary>Guards an attempt that continues a journal; null if there is nothing to compare with.</summary>
    public static RestartGuard? Of(Journal journal, GenerateRequest request)
    {
        // The echo comes from the adapter, not from the server.
        var echo = request.Echo ? Encoding.UTF8.GetByteCount(request.Text) : 0;
        var delivered = journal.Text.Length > echo ? journal.Text[echo..] : default;
        // Some servers put a blank in front of what they generate.
        if (delivered.TrimStart(Blanks) is { IsEmpty: false } trimmed)
            delivered = trimmed;
        return delivered.IsEmpty ? null : new RestartGuard(delivered[..Math.Min(delivered.Length, MostBytes)].ToArray(), !journal.RawDeltas.IsEmpty);
    }

    /// <summary>Takes the next frame with tokens or a finish.</summary>
    /// <param name="frame">The frame.</param>
    /// <param name="released">Receives all frames held so far and this one, for <see cref="GuardVerdict.Release"/>.</param>
    public GuardVerdict Take(GenerateFrame frame, List<GenerateFrame> released)
    {
        _held.Add(frame);
        Append(frame.Text.Span);
        var verdict = Classify(frame);
        if (verdict == GuardVerdict.Release)
            released.AddRange(_held);
        if (verdict != GuardVerdict.Hold)
            _held.Clear();
        return verdict;
    }

    private void Append(ReadOnlySpan<byte> text)
    {
        if (_length == 0 && !Blanks.Contains(_delivered[0]))
            text = text.TrimStart(Blanks);
        text = text[..Math.Min(text.Length, MostBytes - _length)];
        text.CopyTo(_text.AsSpan(_length));
        _length += text.Length;
    }

    private GuardVerdict Classify(GenerateFrame frame)
    {
        var equal = Text.CommonPrefixLength(_delivered);
        var isLast = frame.Finish is not null || _held.Count == MostFrames;
        if (equal < Math.Min(_length, _delivered.Length))
        {
            return equal < LeastBytes ? GuardVerdict.Release
                : equal >= SuspiciousBytes ? GuardVerdict.Restarted
                : _length < _delivered.Length && frame.RawDelta.IsEmpty && !isLast ? GuardVerdict.Hold
                : HasWordsInCommon() ? GuardVerdict.Restarted
                : GuardVerdict.Release;
        }
        if (equal == _delivered.Length)
            return GuardVerdict.Restarted;
        // A restarted answer would repeat its text, or its structured deltas, before it ends.
        if (!frame.RawDelta.IsEmpty)
            return equal > 0 || _hasStructure ? GuardVerdict.Restarted : GuardVerdict.Release;
        if (isLast)
            return equal > 0 ? GuardVerdict.Restarted : GuardVerdict.Release;
        return GuardVerdict.Hold;
    }

    /// <summary>Whether at least half of the words of the shorter text are in the other one, in the same order.</summary>
    private bool HasWordsInCommon()
    {
        var one = WordsOf(_delivered);
        var other = WordsOf(Text);
        var common = new int[other.Length + 1];
        foreach (var word in one)
        {
            var diagonal = 0;
            for (var i = 1; i <= other.Length; i++)
                (common[i], diagonal) = (word == other[i - 1] ? diagonal + 1 : Math.Max(common[i], common[i - 1]), common[i]);
        }
        return 2 * common[^1] >= Math.Min(one.Length, other.Length);
    }

    private static string[] WordsOf(ReadOnlySpan<byte> text) =>
        Encoding.UTF8.GetString(text).Split([' ', '\t', '\r', '\n'], StringSplitOptions.RemoveEmptyEntries);
}
