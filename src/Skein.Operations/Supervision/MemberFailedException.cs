namespace Skein.Operations.Supervision;

/// <summary>A member exited before it was ready for the first time. The message names the member and its final message.</summary>
public sealed class MemberFailedException(string member, string finalMessage, int exitCode, Exception? inner = null)
    : Exception($"{member}: {finalMessage}", inner)
{
    /// <summary>The last line that the member wrote to standard error.</summary>
    public string FinalMessage { get; } = finalMessage;

    public int ExitCode { get; } = exitCode;
}
