using System.Text.Json.Serialization;

namespace Skein.Engines.Simulated;

/// <summary>Reads faults as requests carry them: one object, or an array of them.</summary>
internal static partial class SimulatedFaultJson
{
    /// <summary>Name of the member of a request.</summary>
    public const string Member = "skein_fault";

    private const string Shape =
        """{"kind":"crash"|"stall"|"slow"|"error", "at": 0 or more, "on": a replica's name, "attempt": 0 or more, "ms": 1 to 3600000}, """
        + "or an array of at most 16 of these";

    private const int Most = 16;

    /// <exception cref="FaultException">It is something else.</exception>
    public static IReadOnlyList<SimulatedFault> Parse(ReadOnlySpan<byte> json)
    {
        SimulatedFault[]? faults;
        try
        {
            faults = json.TrimStart(" \t\r\n"u8) is [(byte)'[', ..]
                ? JsonSerializer.Deserialize(json, Json.Default.SimulatedFaultArray)
                : JsonSerializer.Deserialize(json, Json.Default.SimulatedFault) is { } fault ? [fault] : null;
        }
        catch (JsonException exception)
        {
            throw Wrong(exception);
        }

        return faults is { Length: <= Most } && !faults.Any(IsWrong) ? faults : throw Wrong();
    }

    private static bool IsWrong(SimulatedFault? fault) =>
        fault is null or { At: < 0 } or { Attempt: < 0 } or { Ms: < 1 or > 3_600_000 } || !Enum.IsDefined(fault.Kind);

    private static FaultException Wrong(JsonException? exception = null) =>
        new(Fault.InvalidRequest, $"{Member} has another form; allowed: {Shape}", exception);

    [JsonSourceGenerationOptions(
        PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
        UseStringEnumConverter = true,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        RespectRequiredConstructorParameters = true)]
    [JsonSerializable(typeof(SimulatedFault))]
    [JsonSerializable(typeof(SimulatedFault[]))]
    private sealed partial class Json : JsonSerializerContext;
}
