using System.Buffers;
using System.Runtime.InteropServices;
using Google.Protobuf;
using Google.Protobuf.Collections;
using Skein.Protocol.V1;

namespace Skein.Routing.Streaming;

/// <summary>
/// What was generated and delivered of one branch: all that another replica needs to go on. Not thread-safe; owned by its branch.
/// </summary>
internal sealed class Journal
{
    private readonly List<uint> _ids = [];
    private readonly ArrayBufferWriter<byte> _text = new();
    private readonly ArrayBufferWriter<byte> _rawDeltas = new();
    private RepeatedField<uint> _promptIds = [];

    /// <summary>Index the next token must have.</summary>
    public int NextIndex { get; private set; }

    /// <summary>Fingerprint of the replicas that generated it, of a text in chunks: of the last one; empty while nothing was.</summary>
    public string Fingerprint { get; private set; } = "";

    /// <summary>What its indexes count.</summary>
    public TokenUnit Unit { get; private set; }

    /// <summary>Ids delivered; empty for engines that give none.</summary>
    public ReadOnlySpan<uint> Ids => CollectionsMarshal.AsSpan(_ids);

    /// <summary>Answer bytes delivered.</summary>
    public ReadOnlySpan<byte> Text => _text.WrittenSpan;

    /// <summary>Structured deltas delivered, one behind the other.</summary>
    public ReadOnlySpan<byte> RawDeltas => _rawDeltas.WrittenSpan;

    /// <summary>Bytes held.</summary>
    public long Bytes => ((long)(_ids.Count + _promptIds.Count) * sizeof(uint)) + _text.WrittenCount + _rawDeltas.WrittenCount;

    /// <summary>Takes over what a first or later attempt says of the prompt, as long as no token depends on another answer.</summary>
    public void Begin(Start start)
    {
        if (NextIndex == 0)
            (Unit, _promptIds) = (start.Unit, start.PromptTokenIds);
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

    /// <summary>What was added since a challenge was made.</summary>
    public ContinueRequest Since(Challenge challenge)
    {
        var since = new ContinueRequest
        {
            Session = challenge.Request.Session,
            Choice = challenge.Request.Choice,
            Attempt = challenge.Request.Attempt,
            NextIndex = (uint)NextIndex,
            Fingerprint = Fingerprint,
            Text = ByteString.CopyFrom(_text.WrittenSpan[challenge.FromTextByte..]),
        };
        // Engines without ids journal none.
        if (_ids.Count > challenge.FromIndex)
            since.TokenIds.AddRange(Ids[challenge.FromIndex..]);
        return since;
    }

    /// <summary>The journal as the next attempt gets it; null while nothing was generated: that attempt starts from the beginning.</summary>
    public Resume? ToResume()
    {
        if (NextIndex == 0)
            return null;
        var resume = new Resume
        {
            Text = ByteString.CopyFrom(_text.WrittenSpan),
            NextIndex = (uint)NextIndex,
            Fingerprint = Fingerprint,
        };
        resume.TokenIds.AddRange(_ids);
        resume.PromptTokenIds.AddRange(_promptIds);
        return resume;
    }
}
