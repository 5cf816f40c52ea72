using Skein.Engines;
using Skein.Engines.Embedded;
using Skein.Engines.Simulated;

namespace Skein.Routing.Tests.Support;

/// <summary>The engines that must fail over exactly.</summary>
internal static class TestEngines
{
    public static IReadOnlyList<string> Kinds { get; } = ["simulated", "embedded"];

    public static IInferenceEngine Create(string kind) => kind switch
    {
        "simulated" => SimulatedEngineFactory.Create(new SimulatedEngineOptions { Model = "m" }, TimeProvider.System),
        "embedded" => EmbeddedEngineFactory.Load(new EmbeddedEngineOptions { ModelName = "m", TokensPerSecond = 0 }, TimeProvider.System),
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "no such engine"),
    };
}
