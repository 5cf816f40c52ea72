namespace Skein.Client;

/// <summary>An answer ended before its end: its stream broke, or it has no finish reason. What arrived is not the whole answer.</summary>
/// <param name="received">Text that arrived.</param>
/// <param name="innerException">Why the stream broke; null: it just ended.</param>
public sealed class AnswerTruncatedException(string received, Exception? innerException = null)
    : Exception(
        innerException is null
            ? $"the answer ended without a finish reason after {received.Length} characters"
            : $"the answer broke off after {received.Length} characters: {innerException.Message}",
        innerException)
{
    /// <summary>Text that arrived before the answer broke off.</summary>
    public string Received { get; } = received;
}
