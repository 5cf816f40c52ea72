using Microsoft.AspNetCore.Http.Features;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Keys;

namespace Skein.Gateway.Api.PassThrough;

/// <summary>Serves one call that is passed to an engine. Thread-safe.</summary>
internal sealed class PassThroughEndpoint(IEngineCalls calls, ApiOptions options, TimeProvider time, RequestRunner runner)
{
    private const int MaxHeaderChars = 1024;

    /// <param name="path">The engine's path.</param>
    /// <param name="operation">Name of the operation in metrics.</param>
    public Task AnswerAsync(HttpContext http, IApiDialect dialect, string path, string operation) =>
        runner.RunAsync(http, dialect, operation, async (share, measurement) =>
        {
            RequireNoPage(http.Request);
            var body = await RequestBody.ReadAnyAsync(http.Request, options.MaxBodyBytes, share, http.RequestAborted);
            var request = CallReader.Read(http.Request, path, body);
            request.RequestId = http.TraceIdentifier;
            (request.TraceParent, request.TraceState) = SkeinHeaders.ReadTrace(name => http.Request.Headers[name]);
            measurement.TraceTo(request);
            var grant = http.Features.Get<KeyGrant>();
            request.Priority = KeyGrant.PriorityOf(grant, SkeinHeaders.ReadPriority(name => http.Request.Headers[name]) ?? 0);
            if (SkeinHeaders.ReadDeadline(name => http.Request.Headers[name]) is { } deadline)
                request.DeadlineMs = deadline;
            measurement.ChargeTo(grant, request.Model);
            await using var call = await calls.StartAsync(request, http.RequestAborted);
            measurement.Follow(call);
            WriteHead(http, call);
            await RelayAsync(http, call);
        });

    /// <summary>
    /// A page may send forms and plain text across origins without asking: only pages of configured origins may, whose requests CORS let pass.
    /// </summary>
    private void RequireNoPage(HttpRequest request)
    {
        if (request.HasJsonContentType() || !RequestBody.IsFromPage(request) || options.CorsOrigins.Contains(CrossOrigin.Any)
            || options.CorsOrigins.Contains(request.Headers.Origin.ToString(), StringComparer.OrdinalIgnoreCase))
            return;
        throw new RequestRefusedException(
            StatusCodes.Status403Forbidden, "origin_not_allowed", null,
            $"origin: '{VisibleText.Clean(request.Headers.Origin.ToString())}' is not allowed; allowed: the origins of --cors-origin");
    }

    private static void WriteHead(HttpContext http, IEngineCall call)
    {
        var (response, start) = (http.Response, call.Start);
        response.StatusCode = (int)start.Status;
        if (IsHeader(start.ContentType))
            response.ContentType = start.ContentType;
        if (IsHeader(start.ContentDisposition))
            response.Headers.ContentDisposition = start.ContentDisposition;
        if (start.HasContentLength && start.ContentLength <= long.MaxValue)
            response.ContentLength = (long)start.ContentLength;
        SkeinHeaders.Write(call.Attempts, call.Replica, response.Headers, static (headers, name, value) => headers[name] = value);
        http.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
    }

    /// <exception cref="StreamBrokenException">The answer was lost after its head was sent: the response fails.</exception>
    private async Task RelayAsync(HttpContext http, IEngineCall call)
    {
        var output = new ClientOutput(http, time, options.WriteTimeout);
        try
        {
            while (await call.ReadAsync() is { } part)
            {
                output.Output.Write(part.Span);
                await output.FlushAsync();
            }
        }
        catch (OperationCanceledException e) when (output.ClientIsStuck)
        {
            throw new StreamBrokenException(Fault.SlowClient.ToClientError().Code, e);
        }
        catch (Exception e) when (http.Response.HasStarted && e is not OperationCanceledException && !http.RequestAborted.IsCancellationRequested)
        {
            throw new StreamBrokenException(ApiError.From(e, http.TraceIdentifier).Code, e);
        }
    }

    // From a server: it must not make a header that the gateway cannot send.
    private static bool IsHeader(string value) => value.Length is > 0 and <= MaxHeaderChars && !value.AsSpan().ContainsAnyExceptInRange(' ', '~');
}
