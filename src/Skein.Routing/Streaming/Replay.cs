using Google.Protobuf;
using Google.Protobuf.Collections;
using Skein.Protocol.V1;

namespace Skein.Routing.Streaming;

/// <summary>
/// Goes on where no engine can resume: the whole answer is made again from the same seed, what the client has is compared byte by byte and
/// dropped, and only what comes after it is let through. Belongs to one attempt; not thread-safe.
/// </summary>
/// <remarks>
/// Engines that give ids repeat their token indexes, and the ids are compared. Engines that give only pieces of text may cut them otherwise
/// the second time: there the bytes count, and the pieces are numbered on from the journal's last. Pieces of which the client has seen nothing
/// (a tool call that is kept back until it is whole) need not come again: what they say may be said anew.
/// </remarks>
internal sealed class Replay
{
    private readonly Journal _journal;
    private readonly int _have;
    private readonly int _haveText;
    private readonly int _haveRaw;
    private int _index;
    private int _text;
    private int _raw;
    private int _shift;

    public Replay(Journal journal)
    {
        _journal = journal;
        _have = journal.NextIndex;
        _haveText = journal.Text.Length;
        _haveRaw = journal.RawDeltas.Length;
        IsBehind = HasIds || _haveText > 0 || _haveRaw > 0;
        _shift = IsBehind ? 0 : _have;
    }

    /// <summary>True until all that the client has has come again; of ids, until one came that it does not have.</summary>
    public bool IsBehind { get; private set; }

    /// <summary>Tokens of the answer that came so far, as the engine numbers them.</summary>
    public int Index => _index;

    private bool HasIds => !_journal.Ids.IsEmpty;

    /// <summary>Takes in a frame with tokens or a finish, and cuts off it what the client has: maybe all of it.</summary>
    /// <param name="frame">Changed; numbered as the client's next one where anything is left of it.</param>
    /// <returns>How the answer differs from the one the client has; null when it does not.</returns>
    public string? Take(GenerateFrame frame)
    {
        if (frame.Count > 0 && frame.FirstIndex != _index)
            return $"it came with token {frame.FirstIndex} instead of {_index}";
        var before = _index;
        _index += (int)frame.Count;
        if (IsBehind)
        {
            if (CutBytes(frame.Text.Span, _journal.Text[.._haveText], ref _text) is not { } text)
                return $"its text is another one near byte {_text}";
            if (CutBytes(frame.RawDelta.Span, _journal.RawDeltas[.._haveRaw], ref _raw) is not { } raw)
                return "its structured deltas are other ones";
            if (!HasSameIds(frame, before))
                return $"its tokens are other ones near token {before}";
            if (HasIds && _index < _have && (text < frame.Text.Length || raw < frame.RawDelta.Length))
                return $"its text comes sooner than before, at token {before}";
            frame.Text = ByteString.CopyFrom(frame.Text.Span[text..]);
            frame.RawDelta = ByteString.CopyFrom(frame.RawDelta.Span[raw..]);
            IsBehind = !Catches(frame, before);
        }
        if (!IsBehind && frame.Count > 0)
            frame.FirstIndex = (uint)((int)frame.FirstIndex + _shift);
        return IsBehind && frame.Finish is not null ? $"it ends at token {_index}" : null;
    }

    /// <summary>How many leading bytes the client has; null when they are not the same.</summary>
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
            if (frame.TokenIds[i] != have[from + i])
                return false;
        }
        return true;
    }

    /// <summary>True when the client has no more than what came up to this frame; the tokens that it has are cut off the frame then.</summary>
    private bool Catches(GenerateFrame frame, int before)
    {
        var isWhole = _text == _haveText && _raw == _haveRaw && (!HasIds || _index >= _have);
        var isNew = (HasIds && _index > _have) || !frame.Text.IsEmpty || !frame.RawDelta.IsEmpty || frame.Finish is not null;
        if (!isWhole || (HasIds && !isNew))
            return false;
        if (HasIds)
        {
            Cut(frame, Math.Max(0, _have - before));
            return true;
        }
        // Numbered on from the last one the client has, wherever the engine cut this time.
        _shift = _have - (isNew ? before : _index);
        if (!isNew)
            Cut(frame, (int)frame.Count);
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
