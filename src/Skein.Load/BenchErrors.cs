namespace Skein.Load;

/// <summary>
/// Kinds of errors in <see cref="BenchReport.Errors"/>. Besides these: <c>http 429 queue_full</c> (status and the server's code),
/// <c>grpc ResourceExhausted no_replica</c>, <c>in-band stream_lost</c>.
/// </summary>
public static class BenchErrors
{
    /// <summary>The stream ended without an error, and without a finish reason or its end mark.</summary>
    public const string Truncated = "truncated";

    /// <summary>The answer is whole, and not the text that the same request had before.</summary>
    public const string Diverged = "diverged";

    /// <summary>A token index was left out (Skein's gRPC tells them).</summary>
    public const string TokensLost = "tokens_lost";

    /// <summary>A token index came twice (Skein's gRPC tells them).</summary>
    public const string TokensDuplicated = "tokens_duplicated";

    /// <summary>No connection, or it broke.</summary>
    public const string Connection = "connection";

    /// <summary>The request took longer than it may.</summary>
    public const string Timeout = "timeout";

    /// <summary>The answer cannot be read: no valid events, or more than a client would take.</summary>
    public const string Malformed = "malformed";

    /// <summary>Kinds beyond the number that is told apart.</summary>
    public const string Other = "other";
}

/// <summary>One request that did not end as it should.</summary>
internal sealed class BenchRequestException(string kind, string message, Exception? innerException = null) : Exception(message, innerException)
{
    /// <summary>As in <see cref="BenchErrors"/>.</summary>
    public string Kind { get; } = kind;

    /// <summary>A kind out of what a server says: codes that do not look like codes are left out.</summary>
    public static string KindOf(string place, string? code) =>
        code is { Length: > 0 and <= 64 } && code.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.') ? $"{place} {code}" : place;
}

/// <summary>The benchmark cannot be run at all; the message is one line for the user.</summary>
public sealed class BenchException : Exception
{
    /// <summary>Creates the exception.</summary>
    public BenchException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
