using Skein.Engines.Requests;
using Skein.Engines.Text;

namespace Skein.Engines.Simulated;

/// <summary>Generates one answer frame by frame, without time and faults. Not safe for concurrent use.</summary>
internal sealed class SimulatedGeneration
{
    private const int DefaultMaxTokens = 128;

    private readonly SimulatedModel _model;
    private readonly GenerateRequest _request;
    private readonly uint[] _promptIds;
    private readonly SimulatedSampler _sampler;
    private readonly AnswerText _text;
    private readonly int _maxTokens;
    private readonly byte[] _echo;

    /// <exception cref="FaultException">The request is invalid, too long, or resumes an answer of another model.</exception>
    public SimulatedGeneration(SimulatedModel model, GenerateRequest request)
    {
        _model = model;
        _request = request;
        if (request.Model.Length > 0 && request.Model != model.Description.Name)
            throw new FaultException(Fault.ModelNotFound, $"model is '{request.Model}'; this replica serves '{model.Description.Name}'");

        CheckRequest(request);
        _promptIds = SimulatedPrompt.ReadIds(request, ContextTokens);
        var left = ContextTokens - _promptIds.Length;
        _maxTokens = request.HasMaxTokens ? RequestChecks.MaxTokens(request, _promptIds.Length, ContextTokens) : Math.Min(DefaultMaxTokens, left);
        PromptKey = model.PromptKey(_promptIds);
        _sampler = new SimulatedSampler(PromptKey, request.Sampling);
        _echo = request.Echo ? SimulatedPrompt.ReadText(_promptIds) : [];
        _text = new AnswerText(request.Stop, _echo);
        if (request.Resume is { } resume)
            Replay(resume);
    }

    public ulong PromptKey { get; }

    public int Index { get; private set; }

    /// <summary>Tokens to read before the next one can be made.</summary>
    public int PrefillTokens => _promptIds.Length + Index;

    /// <summary>Whether only the finish is left.</summary>
    public bool IsComplete => Index >= _maxTokens || _text.MatchedStop is not null;

    /// <summary>Most tokens that the answer may still have.</summary>
    public int TokensLeft => _maxTokens - Index;

    private int ContextTokens => (int)_model.Description.ContextTokens;

    public GenerateFrame Start() => 
        AnswerFrames.Start(_model.Description, TokenUnit.Token, ResumeTier.Exact, _promptIds, Index, _echo, _model.Description.Fingerprint);

    public GenerateFrame NextToken()
    {
        var id = _sampler.Choose(Index);
        var frame = new GenerateFrame { FirstIndex = (uint)Index, Count = 1, TokenIds = { id } };
        if (_request.HasLogprobs)
            frame.Logprobs.Add(_sampler.Describe(id, (int)_request.Logprobs));

        Append(id);
        frame.Text = ByteString.CopyFrom(_text.Take());
        return frame;
    }

    public GenerateFrame Finish() => AnswerFrames.Finish(
        _text, (uint)Index, FinishReason.Length, new Usage { PromptTokens = (uint)_promptIds.Length, CompletionTokens = (uint)Index });

    private static void CheckRequest(GenerateRequest request)
    {
        RequestChecks.Check(request);
        RequestChecks.RefuseEchoWithLogprobs(request);
        MemberChecks.RefuseUnsupported(request);
        if (request.Sampling is not { } sampling)
            return;

        RequestChecks.Check(sampling);
        foreach (var id in sampling.LogitBias.Keys)
            RequestChecks.Require(SimulatedVocabulary.Contains(id), "logit_bias", id, "tokens of the model");
    }

    private void Append(uint id)
    {
        Span<byte> scratch = stackalloc byte[SimulatedVocabulary.BytesPerPromptToken];
        _sampler.Append(id);
        _text.Append(SimulatedVocabulary.BytesOf(id, scratch));
        Index++;
    }

    private void Replay(Resume resume)
    {
        RequestChecks.CheckResumedIds(resume, _model.Description);
        if (resume.TokenIds.Count > _maxTokens)
            throw RequestChecks.ResumeRefused($"resume.token_ids are {resume.TokenIds.Count}; max_tokens is {_maxTokens}");
        foreach (var id in SimulatedPrompt.Check(resume.TokenIds, "resume.token_ids", ContextTokens))
        {
            if (_text.MatchedStop is not null)
                throw RequestChecks.ResumeRefused("resume.token_ids continue after a stop text");
            Append(id);
        }

        if (IsComplete)
            _text.Flush();
        if (!_text.TrySkip(resume.Text.Span))
            throw RequestChecks.ResumeRefused("resume.text is not what the resumed ids begin with");
    }
}
