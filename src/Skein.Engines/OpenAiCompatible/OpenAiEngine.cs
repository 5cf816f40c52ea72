using Skein.Engines.OpenAiCompatible.Metrics;
using Skein.Engines.OpenAiCompatible.Texts;
using Skein.Engines.OpenAiCompatible.Tokens;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Engines.Requests;

namespace Skein.Engines.OpenAiCompatible;

/// <summary>Serves the models of one server. Thread-safe: all state belongs to one request.</summary>
internal sealed class OpenAiEngine(
    EngineDescription description, ResumeTiers tiers, TokenGeneration? tokens, TextGeneration texts, WholeGeneration wholes, LoadScraper load, EngineHttp http)
    : IInferenceEngine
{
    public string Kind => OpenAiEngineFactory.Kind;

    public ValueTask<EngineDescription> DescribeAsync(CancellationToken cancellationToken) =>
        ValueTask.FromResult(description with { Models = [.. description.Models.Select(model => model.Clone())] });

    public async ValueTask CheckAsync(CancellationToken cancellationToken)
    {
        if (tiers.Profile.HealthPath is { } path)
            await http.FindAsync(path, cancellationToken);

        var listed = (await http.ListModelsAsync(cancellationToken)).Select(model => model.Text("id")).ToList();
        if (description.Models.FirstOrDefault(model => !listed.Contains(model.Name)) is { } gone)
        {
            throw new FaultException(
                Fault.ModelNotFound, $"{http.Name} does not serve the model '{gone.Name}' any more; it serves: {string.Join(", ", listed)}");
        }
    }

    public async IAsyncEnumerable<GenerateFrame> GenerateAsync(GenerateRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        tiers.Profile.Check(request);
        RequestChecks.Check(request);
        RequestChecks.Require(request.MaxTokens <= int.MaxValue, "max_tokens", request.MaxTokens, RequestLimits.MaxTokens.ToString());
        var model = ModelOf(request);
        if (!tiers.Profile.EchoesLogprobs)
            RequestChecks.RefuseEchoWithLogprobs(request);

        var (throughIds, tier) = tiers.Of(request);
        RequestChecks.Require(
            throughIds || request is { Echo: false } or { TokenIds: null } || tiers.Profile.NeedsWholeAnswer(request),
            "echo", "true for a prompt of token ids", "false: this engine does not tell their text");
        var frames = tiers.Profile.NeedsWholeAnswer(request) ? wholes.RunAsync(request, model, cancellationToken)
            : throughIds ? tokens!.RunAsync(request, model, tier, cancellationToken) : texts.RunAsync(request, model, tier, cancellationToken);
        await using var answer = frames.GetAsyncEnumerator(cancellationToken);
        while (await MoveAsync(answer, request))
            yield return answer.Current;
    }

    public ValueTask<EngineLoad> LoadAsync(CancellationToken cancellationToken) => load.ReadAsync(cancellationToken);

    public ValueTask DisposeAsync()
    {
        http.Dispose();
        return ValueTask.CompletedTask;
    }

    private async ValueTask<bool> MoveAsync(IAsyncEnumerator<GenerateFrame> answer, GenerateRequest request)
    {
        try
        {
            return await answer.MoveNextAsync();
        }
        catch (FaultException exception)
        {
            // The request was accepted when the answer began: what the server refuses is the resume.
            var isResumeRefused = request.Resume is { NextIndex: > 0 } && exception.Fault is Fault.InvalidRequest or Fault.Unsupported;
            throw http.Address.Without(exception, isResumeRefused ? Fault.ResumeRefused : exception.Fault);
        }
    }

    private ModelDescription ModelOf(GenerateRequest request)
    {
        var served = description.Models;
        var model = request.Model.Length == 0 && served.Count == 1 ? served[0] : served.FirstOrDefault(model => model.Name == request.Model);
        return model ?? throw new FaultException(
            Fault.ModelNotFound, $"the model '{request.Model}' is not served here; served: {string.Join(", ", served.Select(model => model.Name))}");
    }
}
