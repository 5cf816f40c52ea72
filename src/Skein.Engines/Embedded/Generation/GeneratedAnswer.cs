using Skein.Engines.Embedded.Sampling;
using Skein.Engines.Embedded.Tokens;
using Skein.Engines.Requests;
using Skein.Engines.Text;

namespace Skein.Engines.Embedded.Generation;

/// <summary>
/// Turns logits into the frames of one answer. A resumed answer is rebuilt from its ids and then equals one that was never interrupted. Synchronous; not
/// safe for concurrent use.
/// </summary>
/// <remarks>
/// The token that ends an answer has no index and no frame, and usage does not count it: the next index is always the number of tokens.
/// </remarks>
internal sealed class GeneratedAnswer
{
    // Below every logit and its bias; finite, because the arithmetic of sampling needs finite numbers.
    private const float NeverChosen = -1e30f;

    private readonly GenerationPlan _plan;
    private readonly Vocabulary _vocabulary;
    private readonly Sampler _sampler;
    private readonly AnswerText _text;
    private readonly List<int> _ids = [];
    private readonly PromptScores? _scores;
    private bool _isAtEndToken;

    /// <exception cref="FaultException">The plan's resume does not fit.</exception>
    public GeneratedAnswer(GenerationPlan plan, Vocabulary vocabulary)
    {
        (_plan, _vocabulary) = (plan, vocabulary);
        _sampler = new Sampler(plan.Sampling, plan.Prompt, vocabulary.Count);
        _text = new AnswerText(plan.Stops, plan.Echo);
        _scores = plan.ScoresPrompt ? new PromptScores(vocabulary, plan.TopLogprobs!.Value, plan.Prompt[0]) : null;
        if (plan.Resume is { } resume)
            Replay(resume);
    }

    public IReadOnlyList<int> Ids => _ids;

    /// <summary>Whether no further token is needed: the next frame is <see cref="Finish"/>.</summary>
    public bool IsComplete => _isAtEndToken || _text.MatchedStop is not null || _ids.Count >= _plan.MaxTokens;

    /// <summary>Whether the logits after every token of the prompt and of a resumed answer are needed, through <see cref="Score"/>.</summary>
    public bool NeedsScores => _scores is not null;

    /// <summary>Reports what the model expected of a token that is given.</summary>
    /// <param name="logits">After the tokens before it.</param>
    public void Score(ReadOnlySpan<float> logits, int id) => _scores!.Add(logits, id);

    /// <summary>Chooses the next token; null: the answer ended. Not to be called once it is complete.</summary>
    /// <param name="logits">After the answer so far; changed.</param>
    public GenerateFrame? Advance(Span<float> logits)
    {
        var untouched = _plan.TopLogprobs is null ? [] : logits.ToArray();
        if (_ids.Count < _plan.MinTokens)
        {
            foreach (var end in _vocabulary.Ends)
                logits[end] = NeverChosen;
        }

        var id = _sampler.Choose(logits, _ids.Count);
        if (_vocabulary.Ends.Contains(id))
        {
            _isAtEndToken = true;
            return null;
        }

        var frame = new GenerateFrame { FirstIndex = (uint)_ids.Count, Count = 1, TokenIds = { (uint)id } };
        if (_scores is not null)
            _scores.Add(untouched, id);
        else if (_plan.TopLogprobs is { } top)
            frame.Logprobs.Add(Logprobs.Of(untouched, id, top, _vocabulary));

        Accept(id);
        frame.Text = ByteString.CopyFrom(_text.Take());
        return frame;
    }

    /// <summary>The last frame: text that was still held back, reason and usage.</summary>
    public GenerateFrame Finish()
    {
        var last = AnswerFrames.Finish(
            _text,
            (uint)_ids.Count,
            _isAtEndToken ? FinishReason.Stop : FinishReason.Length,
            new Usage { PromptTokens = (uint)_plan.Prompt.Length, CompletionTokens = (uint)_ids.Count });
        if (_scores is not null)
            last.RawLogprobs = _scores.ToJson();
        return last;
    }

    private void Accept(int id)
    {
        _ids.Add(id);
        _sampler.Accept(id);
        _text.Append(_vocabulary.AnswerBytesOf(id));
    }

    private void Replay(Resume resume)
    {

        for (var i = 0; i < resume.TokenIds.Count; i++)
        {
            var id = resume.TokenIds[i];
            if (IsComplete)
                throw RequestChecks.ResumeRefused($"resume.token_ids has {resume.TokenIds.Count} ids; the answer was complete after {i}");

            if (id >= _vocabulary.Count || _vocabulary.Ends.Contains((int)id))
                throw RequestChecks.ResumeRefused($"resume.token_ids[{i}] is {id}; allowed: 0 to {_vocabulary.Count - 1}, except tokens that end an answer");

            Accept((int)id);
        }

        if (!_text.TrySkip(resume.Text.Span))
            throw RequestChecks.ResumeRefused($"resume.text, {resume.Text.Length} bytes, is not how the text of resume.token_ids begins");
    }
}
