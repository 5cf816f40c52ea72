using Google.Protobuf;
using Google.Protobuf.Collections;

namespace Skein.Routing.Streaming;

/// <summary>
/// Continues an answer that no engine can resume: the answer is generated again from the same seed, the part that the client has is compared
/// byte by byte and dropped, and only the rest is let through. Belongs to one attempt; not thread-safe.
/// </summary>
/// <remarks>
/// Engines that return ids repeat their token indexes, and the ids are compared. Engines that return only chunks of text may cut them
/// differently the second time: there the bytes are compared, and chunks are numbered from the journal's last. Chunks without text that the
/// client has seen (such as a tool call that waits for its end) may differ the second time.
/// </remarks>
internal sealed class Replay
{
    private readonly Journal _journal;
    private readonly int _have;
    private readonly int _haveText;
    private readonly bool _hasOnlyTokens;
    private readonly DeltaComparison _deltas;
    private ByteString _earlyText = ByteString.Empty;
    private ByteString _earlyDeltas = ByteString.Empty;
    private int _text;
    private int _shift;

    public Replay(Journal journal)
    {
        _journal = journal;
        _have = journal.NextIndex;
        _haveText = journal.Text.Length;
        _deltas = new DeltaComparison(journal.RawDeltas);
        IsBehind = HasIds || _haveText > 0 || _deltas.HasAny;
        _hasOnlyTokens = !IsBehind;
        _shift = IsBehind ? 0 : _have;
    }

    /// <summary>True until everything that the client has was repeated; with ids, until the first token that the client does not have.</summary>
    public bool IsBehind { get; private set; }

    /// <summary>Tokens of the repeated answer so far, as the engine numbers them.</summary>
    public int Index { get; private set; }

    private bool HasIds => !_journal.Ids.IsEmpty;

    /// <summary>Compares a frame with tokens or a finish, and removes what the client already has, possibly everything.</summary>
    /// <param name="frame">Changed; the rest is numbered from the client's next token.</param>
    /// <returns>How the answer differs from the client's; null when it does not.</returns>
    public string? Take(GenerateFrame frame)
    {
        if (frame.Count > 0 && frame.FirstIndex != Index)
            return $"token {frame.FirstIndex} arrived instead of {Index}";
        var before = Index;
        Index += (int)frame.Count;
        // Tokens whose text a parser held back may have come with their log probabilities, one each.
        if (_hasOnlyTokens && before < _have)
            Skip(frame.Logprobs, Math.Min(_have - before, (int)frame.Count));
        if (IsBehind)
        {
            if (CutBytes(frame.Text.Span, _journal.Text[.._haveText], ref _text) is not { } text)
                return $"its text differs near byte {_text}";
            if (_deltas.Take(frame.RawDelta.Span) is not { } deltas)
                return "its structured deltas differ";
            if (!HasSameIds(frame, before))
                return $"its tokens differ near token {before}";
            TakeRest(frame, frame.Text.Span[text..], deltas);
            // The client has those of the part that it has.
            var isAllNew = HasIds && before >= _have;
            if (frame.Finish is null && !isAllNew)
                frame.RawChoice = frame.RawChunk = ByteString.Empty;
            IsBehind = !CatchesUp(frame, before);
        }
        if (!IsBehind && frame.Count > 0)
            frame.FirstIndex = (uint)((int)frame.FirstIndex + _shift);
        return IsBehind && frame.Finish is not null ? $"it ends at token {Index}" : null;
    }

    /// <summary>
    /// Leaves what the client does not have in the frame. What comes with a token that the client has, because the engine held less text back this time,
    /// waits for the first one that it does not have.
    /// </summary>
    private void TakeRest(GenerateFrame frame, ReadOnlySpan<byte> text, ReadOnlySpan<byte> deltas)
    {
        var allText = ByteString.CopyFrom([.. _earlyText.Span, .. text]);
        var allDeltas = ByteString.CopyFrom([.. _earlyDeltas.Span, .. deltas]);
        var isEarly = HasIds && Index < _have && frame.Finish is null;
        (_earlyText, _earlyDeltas) = isEarly ? (allText, allDeltas) : (ByteString.Empty, ByteString.Empty);
        (frame.Text, frame.RawDelta) = isEarly ? (ByteString.Empty, ByteString.Empty) : (allText, allDeltas);
    }

    /// <returns>The number of leading bytes that the client has; null when they differ.</returns>
    private static int? CutBytes(ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> have, ref int at)
    {
        var known = Math.Min(bytes.Length, have.Length - at);
        if (!bytes[..known].SequenceEqual(have.Slice(at, known)))
            return null;
        at += known;
        return known;
    }

    private bool HasSameIds(GenerateFrame frame, int from)
    {
        var have = _journal.Ids;
        for (var i = 0; i < frame.TokenIds.Count && from + i < Math.Min(have.Length, _have); i++)
        {
            if (frame.TokenIds[i] != have[from + i] && frame.TokenIds[i] != UnknownToken.Id && have[from + i] != UnknownToken.Id)
                return false;
        }
        return true;
    }

    /// <summary>True when this frame completes what the client has; the tokens that it has are then removed from the frame.</summary>
    private bool CatchesUp(GenerateFrame frame, int before)
    {
        var isWhole = _text == _haveText && _deltas.IsWhole && (!HasIds || Index >= _have);
        var isNew = (HasIds && Index > _have) || !frame.Text.IsEmpty || !frame.RawDelta.IsEmpty || frame.Finish is not null;
        if (!isWhole || (HasIds && !isNew))
            return false;
        if (HasIds)
        {
            Cut(frame, Math.Max(0, _have - before));
            return true;
        }
        // Chunks are numbered from the client's last one: the engine may have divided the text in other places this time. Log probabilities are one for each
        // token and have no text of their own to compare: the client has as many as it has tokens.
        var known = !isNew ? (int)frame.Count : frame.Logprobs.Count > 0 ? Math.Clamp(_have - before, 0, (int)frame.Count) : 0;
        _shift = _have - before - known;
        Cut(frame, known);
        return true;
    }

    private static void Cut(GenerateFrame frame, int known)
    {
        if (known == 0)
            return;
        frame.FirstIndex += (uint)known;
        frame.Count -= (uint)known;
        Skip(frame.TokenIds, known);
        Skip(frame.Logprobs, known);
    }

    private static void Skip<T>(RepeatedField<T> list, int known)
    {
        for (var i = Math.Min(known, list.Count); i > 0; i--)
            list.RemoveAt(0);
    }
}
