namespace Skein.Engines.Embedded;

internal sealed class EmbeddedEngineFactory : IEngineFactory
{
    public string Help => $"{EmbeddedEngine.Kind} (a tiny real model in this process)";

    public string Allowed => EmbeddedEngine.Kind;

    public string Subject => "the embedded engine";

    public IReadOnlyList<EngineSetting> Settings { get; } = [EngineSetting.TokensPerSecond, EngineSetting.Model];

    public bool Matches(string engine) => engine == EmbeddedEngine.Kind;

    public void Check(EngineConfiguration configuration)
    {
        if (configuration.Get<string?>(EngineSetting.Model, null) is { } model && !File.Exists(model))
        {
            throw new ArgumentException($"--{EngineSetting.Model.Name} '{model}' is not a file; allowed: a GGUF file");
        }
    }

    public Task<IInferenceEngine> CreateAsync(EngineConfiguration configuration, CancellationToken cancellationToken)
    {
        var options = new EmbeddedEngineOptions();
        options = options with
        {
            TokensPerSecond = configuration.Get(EngineSetting.TokensPerSecond, options.TokensPerSecond),
            ModelFile = configuration.Get(EngineSetting.Model, options.ModelFile),
        };
        return Task.FromResult(EmbeddedEngine.Load(options, configuration.Time));
    }
}
