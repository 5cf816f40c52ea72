namespace Skein.Gateway.Api.Http;

/// <summary>
/// Fails a response that has started, after everything for the client was flushed. The server then leaves the response unfinished (HTTP/1.1: no final
/// chunk; HTTP/2: RST_STREAM), for clients that do not read error events. <c>HttpContext.Abort</c> would drop flushed data.
/// </summary>
/// <param name="isLogged">Whether the session has logged the cause.</param>
internal sealed class StreamBrokenException(string code, Exception cause, bool isLogged = false) : Exception($"the stream broke: {code}", cause)
{
    public bool IsLogged { get; } = isLogged;

    /// <summary>The error code that the client got; also the outcome in metrics.</summary>
    public string Code { get; } = code;
}
