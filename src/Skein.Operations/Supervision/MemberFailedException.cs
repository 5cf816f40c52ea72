namespace Skein.Operations.Supervision;

/// <summary>A member's first life ended before it was up. The message names the member and its last words.</summary>
public sealed class MemberFailedException(string member, string lastWords, int exitCode, Exception? inner = null)
    : Exception($"{member}: {lastWords}", inner)
{
    /// <summary>The member's own words.</summary>
    public string LastWords { get; } = lastWords;

    /// <summary>Exit code of its process.</summary>
    public int ExitCode { get; } = exitCode;
}
