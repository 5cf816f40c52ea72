using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible;

/// <summary>Ollama: resumes by text.</summary>
internal sealed class OllamaProfile : ServerProfile
{
    private const string DefaultTag = ":latest";
    private const string TagsPath = "api/tags";

    public override string Name => "ollama";

    public override string Missing => "/api/version has no version";

    public override async ValueTask<ServerFacts?> ProbeAsync(EngineHttp http, bool isDeclared, CancellationToken cancellationToken)
    {
        if ((await http.FindAsync("api/version", cancellationToken))?.Text("version") is not { } version)
            return null;

        if (!isDeclared && !await HasTagsAsync(http, cancellationToken) && !await SaysItRunsAsync(http, cancellationToken))
            return null;

        return await ReadModelsAsync(http, version, slots: null, cancellationToken);
    }

    public override async ValueTask<IReadOnlyList<string>?> LoadedModelsAsync(
        EngineHttp http, IReadOnlyList<ModelFacts> models, CancellationToken cancellationToken) =>
        [.. (await http.FindAsync("api/ps", cancellationToken) ?? default).Elements("models").Select(model => model.Text("name")).OfType<string>()];

    /// <summary><c>name</c> is <c>name:latest</c>.</summary>
    public override bool IsSameModel(string name, string other) => name == other || name == other + DefaultTag || name + DefaultTag == other;

    public override IEnumerable<string> FurtherNames(string name) => name.EndsWith(DefaultTag, StringComparison.Ordinal) ? [name[..^DefaultTag.Length]] : [];

    public override bool ContinuesLastMessage(GenerateRequest request) => true;

    // A text in front of a gap is no message.
    public override bool CompletesAsChat => true;

    private static async ValueTask<bool> HasTagsAsync(EngineHttp http, CancellationToken cancellationToken) =>
        (await http.FindAsync(TagsPath, cancellationToken))?.Member("models") is { ValueKind: JsonValueKind.Array };

    private static async ValueTask<bool> SaysItRunsAsync(EngineHttp http, CancellationToken cancellationToken) =>
        await http.FindTextAsync("", cancellationToken) is { } text && Encoding.UTF8.GetString(text).Contains("Ollama", StringComparison.Ordinal);

    // Does not load the model. Older versions report no capabilities.
    public override async ValueTask<bool> IsGeneratingAsync(EngineHttp http, ModelFacts model, CancellationToken cancellationToken)
    {
        // Only a model of its own, so that a proxy that imitates it is not asked with a POST that it may take for a request.
        var own = (await http.FindAsync(TagsPath, cancellationToken) ?? default).Elements("models").Select(listed => listed.Text("name"));
        if (!own.Contains(model.Name))
            return true;

        try
        {
            var shown = await http.AskAsync("api/show", new RequestJson().Text("model", model.Name).ToBytes(), cancellationToken);
            var capabilities = shown.Elements("capabilities").Select(capability => capability.ToString()).ToList();
            return capabilities.Count == 0 || capabilities.Contains("completion");
        }
        catch (FaultException exception) when (exception.Fault is Fault.Unsupported or Fault.ModelNotFound or Fault.InvalidRequest or Fault.EngineFailed)
        {
            return true; // It does not say.
        }
    }
}
