using Skein.Engines.Embedded;
using Skein.Engines.OpenAiCompatible;
using Skein.Engines.Simulated;

namespace Skein.Engines;

/// <summary>The engines that operators can choose.</summary>
public static class EngineFactories
{
    /// <summary>All engines. No two match the same value of <c>--engine</c>. To add one, add its factory here.</summary>
    public static IReadOnlyList<IEngineFactory> All { get; } =
    [
        new EmbeddedEngineFactory(),
        new SimulatedEngineFactory(),
        new OpenAiEngineFactory(),
    ];

    /// <summary>The engine for a value of <c>--engine</c>; null if there is none.</summary>
    public static IEngineFactory? Find(string engine) => All.FirstOrDefault(factory => factory.Matches(engine));
}
