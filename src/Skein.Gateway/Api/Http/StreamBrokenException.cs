namespace Skein.Gateway.Api.Http;

/// <summary>
/// Thrown out of a response that had begun and cannot be finished, after everything for the client was flushed. The server then leaves the
/// response unfinished (HTTP/1.1: no final chunk; HTTP/2: RST_STREAM), which is what tells clients that look at nothing else.
/// <see cref="BrokenStreamLogging"/> keeps the server from logging it as a bug.
/// </summary>
public sealed class StreamBrokenException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="code">Error code the client was told.</param>
    /// <param name="innerException">What broke the stream.</param>
    public StreamBrokenException(string code, Exception innerException)
        : base($"the stream broke: {code}", innerException) => Code = code;

    /// <summary>Error code the client was told; the outcome in metrics.</summary>
    public string Code { get; }
}
