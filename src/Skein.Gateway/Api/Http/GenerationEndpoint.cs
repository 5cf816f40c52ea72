using Skein.Gateway.Keys;
using Skein.Gateway.Telemetry;

namespace Skein.Gateway.Api.Http;

/// <summary>Serves one request of any dialect that generates text: reads it, runs a session, sends the answer or the error. Thread-safe.</summary>
internal sealed partial class GenerationEndpoint(
    IGenerationSessions sessions, ApiOptions options, RequestMemoryBudget bodies, TimeProvider time, GatewayMetrics metrics, ILogger<GenerationEndpoint> logger)
{
    public async Task AnswerAsync(HttpContext http, IApiDialect dialect, IGenerationApi api)
    {
        var requestId = http.TraceIdentifier;
        var measurement = metrics.Begin(api.Operation);
        using var share = bodies.Open();
        try
        {
            sessions.RequireRoom();
            var body = await RequestBody.ReadAsync(http.Request, options.MaxBodyBytes, share, http.RequestAborted);
            var request = api.Read(body, time.GetUtcNow());
            request.Generate.RequestId = requestId;
            SkeinHeaders.Read(request.Generate, name => http.Request.Headers[name]);
            measurement.ChargeTo(http.Features.Get<KeyGrant>(), request.Generate.Model);
            await RelayAsync(http, dialect, request, measurement);
            measurement.End(RequestOutcomes.Completed);
        }
        catch (StreamBrokenException broken)
        {
            measurement.End(broken.Code);
            if (broken.Code == ClientError.Internal.Code)
                Log.Failed(logger, requestId, broken.InnerException!);
            else
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

    private async Task RelayAsync(HttpContext http, IApiDialect dialect, ApiRequest request, RequestMeasurement measurement)
    {
        var hasSeveralChoices = request.Generate.N > 1 || request.Prompts is not null;
        await using var session = sessions.Start(request.Generate, request.Prompts);
        var writer = request.CreateWriter(session.Id);
        if (request.Stream)
        {
            await new StreamedAnswer(http, dialect, session, writer, hasSeveralChoices, options, time, measurement).SendAsync();
            return;
        }

        var body = new ArrayBufferWriter<byte>(4096);
        while (await session.WaitToReadAsync(http.RequestAborted))
        {
            while (session.TryRead(out var frame))
            {
                measurement.Observe(frame);
                writer.Write(frame, body);
            }
        }

        writer.Complete(body, comment: null);
        SkeinHeaders.Write(session, http.Response.Headers, static (headers, name, value) => headers[name] = value);
        await ApiError.SendJsonAsync(http, body.WrittenMemory);
    }

    private static partial class Log
    {
        [LoggerMessage(3001, LogLevel.Warning, "Request {RequestId}: the stream broke ({Code}): {Cause}")]
        public static partial void StreamBroke(ILogger logger, string requestId, string code, string cause);

        [LoggerMessage(3002, LogLevel.Error, "Request {RequestId} failed")]
        public static partial void Failed(ILogger logger, string requestId, Exception exception);
    }
}
