using System.Globalization;
using Skein.Engines;

namespace CustomEngine;

/// <summary>
/// Makes the engine a choice of operators: with this factory in <c>EngineFactories.All</c>, <c>skein replica --engine counting --tokens-per-second 20</c>
/// serves it, with help, checks and error messages.
/// </summary>
public sealed class CountingEngineFactory : IEngineFactory
{
    /// <inheritdoc/>
    public string Help => "counting";

    /// <inheritdoc/>
    public string Allowed => "counting";

    /// <inheritdoc/>
    public string Subject => "the counting engine";

    /// <inheritdoc/>
    public IReadOnlyList<EngineSetting> Settings { get; } = [EngineSetting.TokensPerSecond];

    /// <inheritdoc/>
    public bool Matches(string engine) => string.Equals(engine, "counting", StringComparison.Ordinal);

    /// <inheritdoc/>
    public Task<IInferenceEngine> CreateAsync(EngineConfiguration configuration, CancellationToken cancellationToken)
    {
        var pace = configuration.Get(EngineSetting.TokensPerSecond, 20.0);
        if (pace <= 0)
        {
            throw new ArgumentException(string.Create(
                CultureInfo.InvariantCulture, $"--{EngineSetting.TokensPerSecond.Name} is {pace}; allowed: above 0, to {EngineSetting.TokensPerSecond.Max}"));
        }
        return Task.FromResult<IInferenceEngine>(new CountingEngine(TimeSpan.FromSeconds(1 / pace), TimeProvider.System));
    }
}
