namespace Skein.Engines.OpenAiCompatible.Wire;

/// <summary>Why an answer ended.</summary>
/// <param name="Reason">Unspecified: it did not end.</param>
/// <param name="Word">The server's own word, if it is not one of OpenAI's; else null.</param>
internal readonly record struct AnswerEnd(FinishReason Reason, string? Word = null)
{
    public bool IsEnd => Reason != FinishReason.Unspecified;

    public static implicit operator AnswerEnd(FinishReason reason) => new(reason);
}

internal static class FinishReasons
{
    private const int MostWordChars = 64;

    /// <summary>Reads a finish reason. A word that is not OpenAI's counts as the end of the answer, and is passed on.</summary>
    /// <exception cref="FaultException">The word is too long.</exception>
    public static AnswerEnd Read(string? word) => word switch
    {
        null or "" => FinishReason.Unspecified,
        "stop" => FinishReason.Stop,
        "length" => FinishReason.Length,
        "tool_calls" or "function_call" => FinishReason.ToolCalls,
        "content_filter" => FinishReason.ContentFilter,
        { Length: <= MostWordChars } => new AnswerEnd(FinishReason.Stop, word),
        _ => throw new FaultException(Fault.EngineFailed, $"the engine's finish_reason has {word.Length} characters; allowed: up to {MostWordChars}"),
    };
}
