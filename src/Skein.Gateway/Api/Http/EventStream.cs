using Microsoft.AspNetCore.Http.Features;

namespace Skein.Gateway.Api.Http;

/// <summary>A response of server-sent events. Not thread-safe.</summary>
internal sealed class EventStream(HttpContext http, TimeProvider time, TimeSpan writeTimeout) : ClientOutput(http, time, writeTimeout)
{
    /// <summary>
    /// As long as the data of an HTTP/2 stream that Kestrel may still buffer after a flush (4 KiB). A reset drops Kestrel's buffer. Without a blank line after
    /// it, it is no event: some clients take an event of nothing but a comment for one without data, and fail.
    /// </summary>
    private static readonly byte[] ResetPadding = Encoding.ASCII.GetBytes($": {new string('.', 4096)}\n");

    private readonly HttpContext _http = http;

    public bool HasBegun { get; private set; }

    /// <summary>Sends status 200 and the headers, without those of the session if no replica has answered yet.</summary>
    public Task BeginAsync(IGenerationSession? session)
    {
        HasBegun = true;
        var response = _http.Response;
        response.ContentType = "text/event-stream";
        response.Headers.CacheControl = "no-cache";
        response.Headers["x-accel-buffering"] = "no"; // keeps nginx from buffering the stream
        if (session is not null)
            SkeinHeaders.Write(session, response.Headers, static (headers, name, value) => headers[name] = value);
        _http.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        return response.StartAsync(_http.RequestAborted);
    }

    /// <summary>Flushes so that everything written reaches the client even if the response fails right after.</summary>
    public ValueTask FlushBeforeFailureAsync()
    {
        if (HttpProtocol.IsHttp2(_http.Request.Protocol))
            Output.Write(ResetPadding);
        return FlushAsync();
    }
}
