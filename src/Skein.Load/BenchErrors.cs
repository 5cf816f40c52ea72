namespace Skein.Load;

/// <summary>
/// Kinds of errors in <see cref="BenchReport.Errors"/>. Further kinds contain a code: <c>http 429 queue_full</c> (status and code),
/// <c>grpc ResourceExhausted no_replica</c>, <c>in-band stream_lost</c>.
/// </summary>
public static class BenchErrors
{
    /// <summary>The stream ended without an error, a finish reason or an end marker.</summary>
    public const string Truncated = "truncated";

    /// <summary>The answer is complete but differs from an earlier answer to the same request.</summary>
    public const string Diverged = "diverged";

    /// <summary>A token index is missing (gRPC only).</summary>
    public const string TokensLost = "tokens_lost";

    /// <summary>A token index is repeated (gRPC only).</summary>
    public const string TokensDuplicated = "tokens_duplicated";

    public const string Connection = "connection";

    public const string Timeout = "timeout";

    /// <summary>The answer is not a valid event stream, or is too large.</summary>
    public const string Malformed = "malformed";

    /// <summary>Kinds beyond the limit of distinct kinds.</summary>
    public const string Other = "other";
}

internal sealed class BenchRequestException(string kind, string message, Exception? innerException = null) : Exception(message, innerException)
{
    public string Kind { get; } = kind;

    /// <summary>A kind from a server's error code. Text that does not look like a code is omitted.</summary>
    public static string KindOf(string place, string? code) =>
        code is { Length: > 0 and <= 64 } && code.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.') ? $"{place} {code}" : place;
}

/// <summary>The benchmark cannot run. The message is one line for the user.</summary>
public sealed class BenchException(string message, Exception? innerException = null) : Exception(message, innerException);
