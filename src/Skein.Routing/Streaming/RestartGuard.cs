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
/// Recognises a server that begins an answer anew instead of continuing its text: the new text is held back while it equals the beginning of the delivered one.
/// Synchronous, without time; belongs to one attempt.
/// </summary>
/// <remarks>
/// An answer that repeats itself ("la la la") is continued by a text that begins like the delivered one. That cannot be told from a restart, so it counts as
/// one: the answer is then generated again from its start and compared, which is right in both cases.
/// </remarks>
internal sealed class RestartGuard
{
    /// <summary>Bytes that are compared at most.</summary>
    public const int MostBytes = 64;

    /// <summary>Equal bytes after which a difference no longer shows that the server continues.</summary>
    public const int SuspiciousBytes = 16;

    /// <summary>Most frames that are held, with text or without.</summary>
    private const int MostFrames = 256;

    private static ReadOnlySpan<byte> Blanks => " \t\r\n"u8;

    private readonly byte[] _delivered;
    private readonly bool _hasStructure;
    private readonly List<GenerateFrame> _held = [];
    private int _equal;

    private RestartGuard(byte[] delivered, bool hasStructure) => (_delivered, _hasStructure) = (delivered, hasStructure);

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
        var verdict = Classify(frame);
        if (verdict == GuardVerdict.Release)
            released.AddRange(_held);
        if (verdict != GuardVerdict.Hold)
            _held.Clear();
        return verdict;
    }

    private GuardVerdict Classify(GenerateFrame frame)
    {
        var text = _equal == 0 && !Blanks.Contains(_delivered[0]) ? frame.Text.Span.TrimStart(Blanks) : frame.Text.Span;
        var rest = _delivered.AsSpan(_equal);
        var equal = text.CommonPrefixLength(rest);
        _equal += equal;
        if (equal < text.Length && equal < rest.Length)
            return _equal < SuspiciousBytes ? GuardVerdict.Release : GuardVerdict.Restarted;
        if (_equal == _delivered.Length)
            return GuardVerdict.Restarted;
        // A restarted answer would repeat its text, or its structured deltas, before it ends.
        if (!frame.RawDelta.IsEmpty)
            return _equal > 0 || _hasStructure ? GuardVerdict.Restarted : GuardVerdict.Release;
        if (frame.Finish is not null || _held.Count == MostFrames)
            return _equal > 0 ? GuardVerdict.Restarted : GuardVerdict.Release;
        return GuardVerdict.Hold;
    }
}
