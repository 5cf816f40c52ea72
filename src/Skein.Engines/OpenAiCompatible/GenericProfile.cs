using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible;

/// <summary>Any server with OpenAI's <c>/v1/chat/completions</c> and <c>/v1/completions</c>: resumes by text.</summary>
internal sealed class GenericProfile : ServerProfile
{
    /// <summary>Owner of the models of llama-cpp-python, whose next request ends the one before.</summary>
    private const string ExclusiveOwner = "me";

    public override string Name => "openai";

    public override async ValueTask<ServerFacts?> ProbeAsync(EngineHttp http, bool isDeclared, CancellationToken cancellationToken)
    {
        var version = (await http.FindAsync("version", cancellationToken))?.Text("version");
        var slots = await OwnsModelsAsync(http, ExclusiveOwner, cancellationToken) ? 1 : (int?)null;
        return await ReadModelsAsync(http, version ?? "", slots, cancellationToken);
    }

    public override ValueTask<IReadOnlyList<string>?> LoadedModelsAsync(
        EngineHttp http, IReadOnlyList<ModelFacts> models, CancellationToken cancellationToken) =>
        ValueTask.FromResult<IReadOnlyList<string>?>(null);
}
