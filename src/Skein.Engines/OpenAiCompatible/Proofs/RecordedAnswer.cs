using System.Buffers;
using Skein.Engines.OpenAiCompatible.Reasoning;

namespace Skein.Engines.OpenAiCompatible.Proofs;

/// <summary>The first tokens of an answer, with the places at which it can be cut. Not safe for concurrent use.</summary>
internal sealed class RecordedAnswer
{
    private readonly ArrayBufferWriter<byte> _said = new();
    private readonly ArrayBufferWriter<byte> _text = new();
    private readonly ArrayBufferWriter<byte> _rawDeltas = new();
    private readonly List<uint> _ids = [];
    private readonly List<TokenLogprob> _logprobs = [];
    private readonly List<CutPlace> _places = [];
    private Start _start = new();
    private int _index;

    private RecordedAnswer()
    {
    }

    /// <summary>Reasoning and content, one after the other.</summary>
    public ReadOnlySpan<byte> Said => _said.WrittenSpan;

    public ReadOnlySpan<byte> Content => _text.WrittenSpan;

    /// <summary>Name of the delta's member with the reasoning; empty: there was none.</summary>
    public string Reasoning { get; private set; } = "";

    /// <summary>Whether it has deltas that are neither text nor reasoning.</summary>
    public bool HasOtherDeltas { get; private set; }

    /// <summary>Those deltas, one after the other.</summary>
    public string OtherDeltas { get; private set; } = "";

    /// <summary>The tier that its start states.</summary>
    public ResumeTier Tier => _start.ResumeTier;

    /// <summary>Whether its start states that it is the same when it is generated again.</summary>
    public bool RepeatsExactly => _start.RepeatsExactly;

    /// <summary>Why it ended; unspecified if it was not read to its end.</summary>
    public FinishReason Reason { get; private set; }

    /// <summary>What the server counted; null: nothing.</summary>
    public Usage? Usage { get; private set; }

    /// <summary>Log probabilities, one entry a token.</summary>
    public IReadOnlyList<TokenLogprob> Logprobs => _logprobs;

    /// <summary>Whether the model ended it.</summary>
    public bool HasEnded => Reason == FinishReason.Stop;

    /// <summary>Reads an answer up to a number of tokens, or pieces of text; what the server sends after them is not read.</summary>
    public static async ValueTask<RecordedAnswer> ReadAsync(IAsyncEnumerable<GenerateFrame> frames, int most)
    {
        var answer = new RecordedAnswer();
        await foreach (var frame in frames)
        {
            answer.Add(frame);
            if (answer._index - (int)answer._start.ResumedAt >= most)
                break;
        }

        return answer;
    }

    /// <summary>A journal that is cut at a piece, with what was said until then; null if nothing was said.</summary>
    /// <param name="place">Which of the pieces, from 0 (the first) to 1.</param>
    public (Resume Journal, int Said)? CutAt(double place)
    {
        var places = _places.Where(candidate => candidate.Said > 0).ToList();
        return places.Count == 0 ? null : places[Math.Min((int)(place * places.Count), places.Count - 1)] is var cut ? (JournalAt(cut), cut.Said) : null;
    }

    /// <summary>Up to three journals, cut after about a quarter, a half and three quarters of the pieces, each with what was said until then.</summary>
    public IEnumerable<(Resume Journal, int Said)> Cuts()
    {
        var places = _places.Where(place => place.Said > 0).ToList();
        return places.Count < 2 ? [] : Enumerable.Range(1, 3).Select(part => Math.Clamp(places.Count * part / 4, 1, places.Count - 1) - 1).Distinct()
            .Select(place => (JournalAt(places[place]), places[place].Said));
    }

    private Resume JournalAt(CutPlace place) => new()
    {
        Text = ByteString.CopyFrom(Content[..place.Text]),
        RawDeltas = ByteString.CopyFrom(_rawDeltas.WrittenSpan[..place.RawDeltas]),
        NextIndex = (uint)place.Index,
        Fingerprint = _start.Fingerprint,
        TokenIds = { _ids.Take(place.Index) },
        PromptTokenIds = { _start.PromptTokenIds },
    };

    private void Add(GenerateFrame frame)
    {
        _start = frame.Start ?? _start;
        if (!frame.RawDelta.IsEmpty)
            AddDelta(frame.RawDelta.Span);

        _said.Write(frame.Text.Span);
        _text.Write(frame.Text.Span);
        _ids.AddRange(frame.TokenIds);
        _logprobs.AddRange(frame.Logprobs);
        Reason = frame.Finish?.Reason ?? Reason;
        Usage = frame.Finish?.Usage ?? Usage;
        _index = (int)(frame.FirstIndex + frame.Count);
        if (frame.Count > 0)
            _places.Add(new CutPlace(_index, _said.WrittenCount, _text.WrittenCount, _rawDeltas.WrittenCount));
    }

    private void AddDelta(ReadOnlySpan<byte> delta)
    {
        _rawDeltas.Write(delta);
        if (DeliveredReasoning.TextIn(JsonElement.Parse(delta)) is not { } reasoning)
        {
            HasOtherDeltas = true;
            OtherDeltas += Encoding.UTF8.GetString(delta);
            return;
        }

        Reasoning = reasoning.Member;
        _said.Write(Encoding.UTF8.GetBytes(reasoning.Text));
    }

    /// <param name="Index">Index of the next token.</param>
    /// <param name="Said">Bytes of <see cref="RecordedAnswer.Said"/>.</param>
    /// <param name="Text">Bytes of the content.</param>
    /// <param name="RawDeltas">Bytes of the structured deltas.</param>
    private readonly record struct CutPlace(int Index, int Said, int Text, int RawDeltas);
}
