namespace Skein.Engines.OpenAiCompatible.Wire;

internal static class FinishReasons
{
    /// <summary>Reads OpenAI's finish reasons.</summary>
    /// <exception cref="FaultException">The reason is unknown.</exception>
    public static FinishReason Read(string? word) => word switch
    {
        null or "" => FinishReason.Unspecified,
        "stop" => FinishReason.Stop,
        "length" => FinishReason.Length,
        "tool_calls" or "function_call" => FinishReason.ToolCalls,
        "content_filter" => FinishReason.ContentFilter,
        _ => throw new FaultException(Fault.EngineFailed, $"the engine ended the answer with '{word}'; known: stop, length, tool_calls, content_filter"),
    };
}
