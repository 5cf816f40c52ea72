using System.Threading.Channels;
using Skein.Engines.OpenAiCompatible.Calls;
using Skein.Engines.OpenAiCompatible.Metrics;
using Skein.Engines.OpenAiCompatible.Texts;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Engines.Requests;

namespace Skein.Engines.OpenAiCompatible;

/// <summary>Serves the models of one server, as it lists them now. Thread-safe.</summary>
internal sealed class OpenAiEngine(
    ServerProfile profile, ModelDirectory models, int? slots, TextGeneration texts, WholeGeneration wholes, LoadScraper load, EngineHttp http,
    TimeProvider time) : IInferenceEngine
{
    /// <summary>Time between two readings of the server's list of models.</summary>
    internal static readonly TimeSpan ListInterval = TimeSpan.FromSeconds(10);

    private readonly PassedCall _calls = new(http);
    // One entry: a model that was not tried before has answered.
    private readonly Channel<bool> _answered = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private volatile bool _hasNoHealthPath = profile.HealthPath is null;

    public string Kind => profile.Name;

    private EngineDescription Description => new([.. models.Models.SelectMany(model => model.Descriptions)], slots);

    public ValueTask<EngineDescription> DescribeAsync(CancellationToken cancellationToken) =>
        ValueTask.FromResult(Description);

    public async ValueTask CheckAsync(CancellationToken cancellationToken)
    {
        if (!_hasNoHealthPath)
            _hasNoHealthPath = await http.GetAsync(profile.HealthPath!, cancellationToken) is { IsMissing: true };

        var listed = (await http.ListModelsAsync(cancellationToken)).Select(model => model.Text("id")!).ToList();
        if (!models.IsAnyWanted(listed))
        {
            throw new FaultException(
                Fault.ModelNotFound,
                $"{http.Name} does not serve the model '{models.Models[0].Facts.Name}' any more; it serves: {string.Join(", ", listed)}");
        }
    }

    /// <summary>
    /// Reads the list of models again every 10 s, at once if a model could not be tried yet, and when such a model has answered: it is loaded then. Models
    /// come and go without an effect on streams of others.
    /// </summary>
    public async Task RunAsync(IEngineSlots background, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(ListInterval, time);
        if (models.HasUntried)
            await UpdateAsync(background, cancellationToken);

        var tick = timer.WaitForNextTickAsync(cancellationToken).AsTask();
        var answered = _answered.Reader.ReadAsync(cancellationToken).AsTask();
        while (true)
        {
            await await Task.WhenAny(tick, answered);
            await UpdateAsync(background, cancellationToken);
            tick = tick.IsCompleted ? timer.WaitForNextTickAsync(cancellationToken).AsTask() : tick;
            answered = answered.IsCompleted ? _answered.Reader.ReadAsync(cancellationToken).AsTask() : answered;
        }
    }

    private async Task UpdateAsync(IEngineSlots background, CancellationToken cancellationToken)
    {
        try
        {
            if (await profile.ProbeAsync(http, isDeclared: true, cancellationToken) is { } facts
                && await models.UpdateAsync(facts, background.TryTake, CancellationToken.None, cancellationToken))
            {
                background.DescriptionChanged(Description);
            }
        }
        catch (FaultException)
        {
            // The list stays as it was. CheckAsync reports a server that is gone.
        }
    }

    public async IAsyncEnumerable<GenerateFrame> GenerateAsync(GenerateRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        profile.Check(request);
        RequestChecks.Check(request);
        RequestChecks.Require("max_tokens", request.MaxTokens, RequestLimits.MaxTokens);
        var model = ModelOf(request.Model);
        if (!model.IsGenerating)
        {
            throw new FaultException(
                Fault.Unsupported,
                $"model '{request.Model}' does not generate text: its server refuses chats and completions; allowed: calls such as embeddings")
            {
                Param = "model",
            };
        }

        RequestChecks.RequireKnownIds(request, model.Facts.VocabularySize);
        if (!profile.EchoesLogprobs)
            RequestChecks.RefuseEchoWithLogprobs(request);

        var (way, tier) = model.Tiers.Of(request);
        RequestChecks.Require(
            way is AnswerWay.Ids or AnswerWay.Whole || request is { Echo: false } or { TokenIds: null },
            "echo", "true for a prompt of token ids", "false: this engine does not tell their text");
        // Told at the start of each attempt, whichever way it takes: the client sees the start of the first one.
        var fingerprint = model.Facts.SystemFingerprint;
        Func<ValueTask<int?>>? promptTokens = model.Tokens is { } tokens ? () => tokens.PromptTokensAsync(request, model.Description, cancellationToken) : null;
        var frames = way == AnswerWay.Whole ? wholes.RunAsync(request, model.Description, fingerprint, cancellationToken)
            : way == AnswerWay.Ids ? model.Tokens!.RunAsync(request, model.Description, tier, cancellationToken)
            : way == AnswerWay.ChatWithIds ? texts.RunWithIdsAsync(request, model.Description, tier, model.Tokens!.ChatTokens!, cancellationToken, fingerprint)
            : texts.RunAsync(request, model.Description, tier, cancellationToken, promptTokens, fingerprint);
        await using var answer = frames.GetAsyncEnumerator(cancellationToken);
        while (true)
        {
            try
            {
                if (!await answer.MoveNextAsync())
                    break;
            }
            catch (FaultException exception)
            {
                // The request was accepted when the answer began: what the server refuses is the resume.
                var isRefused = exception.Fault == Fault.InvalidRequest || EngineErrors.IsMissingCall(exception);
                var isResumeRefused = isRefused && request.Resume is { NextIndex: > 0 };
                throw http.Address.Without(exception, isResumeRefused ? Fault.ResumeRefused : exception.Fault);
            }

            var frame = answer.Current;
            if (frame.Count > 0 && models.NoteAnswer(model))
                _answered.Writer.TryWrite(true);

            if (frame.Start is { } start)
            {
                start.RepeatsExactly = tier == ResumeTier.None && model.Tiers.RepeatsExactly(request);
                // The server answers under its own name; the client asked under one that is served.
                if (request.Model.Length > 0)
                    start.Model = request.Model;
            }

            yield return frame;
        }
    }

    /// <summary>Why a lost answer to a request is not continued exactly, in one line; empty if it is.</summary>
    public string WhyNotExact(GenerateRequest request) => ModelOf(request.Model).Tiers.WhyNotExact(request);

    public async IAsyncEnumerable<InvokeFrame> InvokeAsync(InvokeRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var answer = _calls.RunAsync(request, ModelOf(request.Model).Facts.Name, cancellationToken).GetAsyncEnumerator(cancellationToken);
        while (true)
        {
            try
            {
                if (!await answer.MoveNextAsync())
                    break;
            }
            catch (FaultException exception)
            {
                throw http.Address.Without(exception, exception.Fault);
            }

            yield return answer.Current;
        }
    }

    public ValueTask<EngineLoad> LoadAsync(CancellationToken cancellationToken) => load.ReadAsync(cancellationToken);

    public ValueTask DisposeAsync()
    {
        http.Dispose();
        return ValueTask.CompletedTask;
    }

    private ServerModel ModelOf(string name) => models.Find(name) ?? throw new FaultException(
        Fault.ModelNotFound,
        $"the model '{name}' is not served here; served: {string.Join(", ", models.Models.SelectMany(model => model.Names))}");
}
