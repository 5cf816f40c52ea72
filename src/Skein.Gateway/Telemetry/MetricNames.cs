namespace Skein.Gateway.Telemetry;

/// <summary>Names that several metrics use. Those under <c>gen_ai</c> are OpenTelemetry's, whose conventions are not stable yet.</summary>
internal static class MetricNames
{
    public const string Meter = "Skein.Gateway";

    public const string Operation = "gen_ai.operation.name";
    public const string ChatOperation = "chat";
    public const string CompletionOperation = "text_completion";

    /// <summary>A gRPC request that was refused before it was read: it may have been a chat or a completion.</summary>
    public const string UnreadOperation = "generate_content";

    /// <summary>The model that answered. Never the name in a client's request: the number of those is unbounded.</summary>
    public const string ResponseModel = "gen_ai.response.model";

    public const string TokenType = "gen_ai.token.type";
}
