using Skein.Gateway.Telemetry;

namespace Skein.Gateway.Api.Http;

/// <summary>
/// Brings one request of any endpoint to its single end: an answer, an error, or a response that fails. Measures and logs it, and returns the memory of its
/// body. Thread-safe.
/// </summary>
internal sealed partial class RequestRunner(IGenerationSessions sessions, RequestMemoryBudget bodies, GatewayMetrics metrics, ILogger<RequestRunner> logger)
{
    /// <param name="operation">Name of the operation in metrics.</param>
    /// <param name="serve">
    /// Reads the body and sends the answer. Its exceptions become the error of the request: <see cref="StreamBrokenException"/> after the response started.
    /// </param>
    public async Task RunAsync(HttpContext http, IApiDialect dialect, string operation, Func<RequestMemoryBudget.Share, RequestMeasurement, Task> serve)
    {
        var requestId = http.TraceIdentifier;
        var measurement = metrics.Begin(operation, requestId);
        if (RequestTrace.IsOn)
        {
            var (parent, state) = SkeinHeaders.ReadTrace(name => http.Request.Headers[name]);
            measurement.BeginTrace(parent, state);
        }
        using var share = bodies.Open();
        try
        {
            sessions.RequireRoom();
            await serve(share, measurement);
            measurement.End(RequestOutcomes.Completed);
        }
        catch (StreamBrokenException broken)
        {
            measurement.End(broken.Code);
            if (broken.Code == ClientError.Internal.Code)
                Log.Failed(logger, requestId, broken.InnerException!);
            else if (!broken.IsLogged)
                Log.StreamBroke(logger, requestId, broken.Code, broken.InnerException!.Message);
            throw;
        }
        catch (Exception e) when (e is OperationCanceledException
            || (http.RequestAborted.IsCancellationRequested && e is not (RequestRefusedException or FaultException)))
        {
            measurement.End(RequestOutcomes.Cancelled);
            http.Abort(); // the server may not have noticed the disconnect: without this it would end the response as if it were complete
        }
        catch (Exception e) when (!http.Response.HasStarted)
        {
            var error = ApiError.From(e, requestId);
            measurement.End(e is RequestRefusedException ? RequestOutcomes.Refused : error.Code);
            if (error.Code == ClientError.Internal.Code || e is InvalidDataException)
                Log.Failed(logger, requestId, e);
            await error.SendAsync(http, dialect);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(3001, LogLevel.Warning, "Request {RequestId}: the stream broke ({Code}): {Cause}")]
        public static partial void StreamBroke(ILogger logger, string requestId, string code, string cause);

        [LoggerMessage(3002, LogLevel.Error, "Request {RequestId} failed")]
        public static partial void Failed(ILogger logger, string requestId, Exception exception);
    }
}
