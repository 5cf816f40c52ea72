using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible;

/// <summary>Any server with OpenAI's <c>/v1/chat/completions</c> and <c>/v1/completions</c>: resumes by text.</summary>
internal sealed class GenericProfile : ServerProfile
{
    public override string Name => "openai";

    public override async ValueTask<ServerFacts?> ProbeAsync(EngineHttp http, bool isDeclared, CancellationToken cancellationToken)
    {
        var version = (await http.FindAsync("version", cancellationToken))?.Text("version");
        return await ReadModelsAsync(http, version ?? "", slots: null, cancellationToken);
    }
}
