using System.Buffers;
using System.Runtime.InteropServices;
using Google.Protobuf;
using Google.Protobuf.Collections;

namespace Skein.Routing.Streaming;

/// <summary>What one branch delivered: all that another replica needs to continue. Not thread-safe; owned by its branch.</summary>
internal sealed class Journal
{
    private readonly List<uint> _ids = [];
    private readonly ArrayBufferWriter<byte> _text = new();
    private readonly ArrayBufferWriter<byte> _rawDeltas = new();
    private RepeatedField<uint> _promptIds = [];

    /// <summary>Index the next token must have.</summary>
    public int NextIndex { get; private set; }

    /// <summary>Fingerprint of the replicas that generated it; for text in chunks, of the last one. Empty while nothing was generated.</summary>
    public string Fingerprint { get; private set; } = "";

    public TokenUnit Unit { get; private set; }

    /// <summary>Ids delivered; empty for engines that return none.</summary>
    public ReadOnlySpan<uint> Ids => CollectionsMarshal.AsSpan(_ids);

    public ReadOnlySpan<byte> Text => _text.WrittenSpan;

    public ReadOnlySpan<byte> RawDeltas => _rawDeltas.WrittenSpan;

    public long Bytes => ((long)(_ids.Count + _promptIds.Count) * sizeof(uint)) + _text.WrittenCount + _rawDeltas.WrittenCount;

    /// <summary>
    /// Records the start of an attempt. Unit and prompt ids are those of the attempt that made the first token, until one continues in chunks of text: then
    /// the ids are of no use.
    /// </summary>
    public void Begin(Start start)
    {
        if (NextIndex == 0)
            (Unit, _promptIds) = (start.Unit, start.PromptTokenIds);
        else if (start.Unit == TokenUnit.Chunk && Unit == TokenUnit.Token)
            ForgetIds();
        if (NextIndex == 0 || Unit == TokenUnit.Chunk)
            Fingerprint = start.Fingerprint;
    }

    public void Append(GenerateFrame frame)
    {
        NextIndex += (int)frame.Count;
        _ids.AddRange(frame.TokenIds);
        _text.Write(frame.Text.Span);
        _rawDeltas.Write(frame.RawDelta.Span);
    }

    /// <summary>What was added since a secondary attempt was prepared.</summary>
    public ContinueRequest Since(SecondaryRequest secondary)
    {
        var since = new ContinueRequest
        {
            Session = secondary.Request.Session,
            Choice = secondary.Request.Choice,
            Attempt = secondary.Request.Attempt,
            NextIndex = (uint)NextIndex,
            Fingerprint = Fingerprint,
            Text = ByteString.CopyFrom(_text.WrittenSpan[secondary.FromTextByte..]),
            RawDeltas = ByteString.CopyFrom(_rawDeltas.WrittenSpan[secondary.FromRawByte..]),
        };
        // Engines without ids journal none.
        if (_ids.Count > secondary.FromIndex)
            since.TokenIds.AddRange(Ids[secondary.FromIndex..]);
        return since;
    }

    /// <summary>The journal for the next attempt; null while nothing was generated: that attempt starts from the beginning.</summary>
    public Resume? ToResume() => NextIndex == 0 ? null : new Resume
    {
        Text = ByteString.CopyFrom(_text.WrittenSpan),
        RawDeltas = ByteString.CopyFrom(_rawDeltas.WrittenSpan),
        NextIndex = (uint)NextIndex,
        Fingerprint = Fingerprint,
        TokenIds = { _ids },
        PromptTokenIds = { _promptIds },
    };

    private void ForgetIds()
    {
        Unit = TokenUnit.Chunk;
        _ids.Clear();
    }
}
