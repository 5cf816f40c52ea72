using Skein.Engines.Embedded;
using Skein.Engines.OpenAiCompatible;
using Skein.Engines.Simulated;

namespace Skein.Engines;

/// <summary>The engines that operators can choose.</summary>
public static class EngineFactories
{
    /// <summary>All of them; no two match the same value of <c>--engine</c>.</summary>
    public static IReadOnlyList<IEngineFactory> All { get; } =
    [
        new EmbeddedEngineFactory(),
        new SimulatedEngineFactory(),
        new OpenAiEngineFactory(),
    ];

    /// <summary>The engine that a value of <c>--engine</c> means; null: none.</summary>
    public static IEngineFactory? Find(string engine) => All.FirstOrDefault(factory => factory.Matches(engine));
}
