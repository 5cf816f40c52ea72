namespace Skein.Protocol;

/// <summary>What is wrong with a member of a chat.</summary>
public enum ChatJsonProblem
{
    WrongType,

    /// <summary>The value has the right type and is not allowed.</summary>
    WrongValue,
    Missing,
}

/// <summary>A chat cannot be read. The message names the member, its value and what is allowed.</summary>
/// <param name="field">Path of the member, such as <c>messages[0].role</c>.</param>
/// <param name="message">The problem in words, without the path.</param>
public sealed class ChatJsonException(ChatJsonProblem problem, string field, string message, Exception? innerException = null)
    : FormatException($"{field}: {message}", innerException)
{
    public ChatJsonProblem Problem { get; } = problem;

    public string Field { get; } = field;
}
