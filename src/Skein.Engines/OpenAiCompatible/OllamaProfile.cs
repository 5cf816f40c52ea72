using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible;

/// <summary>Ollama: resumes by text.</summary>
internal sealed class OllamaProfile : ServerProfile
{
    public override string Name => "ollama";

    public override string Missing => "/api/version has no version";

    public override async ValueTask<ServerFacts?> ProbeAsync(EngineHttp http, bool isDeclared, CancellationToken cancellationToken) =>
        (await http.FindAsync("api/version", cancellationToken))?.Text("version") is { } version
            ? await ReadModelsAsync(http, version, slots: null, cancellationToken)
            : null;
}
