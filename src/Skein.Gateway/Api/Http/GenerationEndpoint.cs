using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Skein.Gateway.Api.OpenAi.Answers;
using Skein.Gateway.Api.OpenAi.Requests;
using Skein.Gateway.Telemetry;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Api.Http;

/// <summary>Answers one chat or completion: reads, starts a session, relays it, and gives every failure its face.</summary>
internal sealed partial class GenerationEndpoint(
    IGenerationSessions sessions, ApiOptions options, RequestMemoryBudget bodies, TimeProvider time, GatewayMetrics metrics, ILogger<GenerationEndpoint> logger)
{
    public async Task AnswerAsync(HttpContext http, RequestFieldTable members, AnswerFormat format)
    {
        var requestId = http.TraceIdentifier;
        var measurement = metrics.Begin(format.Operation);
        using var share = bodies.Open(options.MaxBodyMemoryBytes);
        try
        {
            sessions.RequireRoom();
            var body = await RequestBody.ReadAsync(http.Request, options.MaxBodyBytes, share, http.RequestAborted);
            var request = RequestReader.Read(body, members);
            request.Generate.RequestId = requestId;
            SkeinRequestHeaders.Read(request.Generate, name => http.Request.Headers[name]);
            await RelayAsync(http, request, format, measurement);
            measurement.End(RequestOutcomes.Completed);
        }
        catch (RequestRefusedException refused)
        {
            measurement.End(RequestOutcomes.Refused);
            await ApiError.From(refused).SendAsync(http);
        }
        catch (SessionException error)
        {
            var answer = ApiError.From(error);
            measurement.End(answer.Code);
            await answer.SendAsync(http);
        }
        catch (StreamBrokenException broken)
        {
            measurement.End(broken.Code);
            if (broken.Code == SessionErrors.Internal.Code)
                Log.Failed(logger, requestId, broken.InnerException!);
            else
                Log.StreamBroke(logger, requestId, broken.Code, broken.InnerException!.Message);
            throw;
        }
        catch (Exception e) when (e is OperationCanceledException || http.RequestAborted.IsCancellationRequested)
        {
            measurement.End(RequestOutcomes.Cancelled);
            http.Abort(); // the server may not have noticed yet; a clean end would be a lie
        }
        catch (Exception e) when (!http.Response.HasStarted)
        {
            measurement.End(SessionErrors.Internal.Code);
            Log.Failed(logger, requestId, e);
            await ApiError.Internal(requestId).SendAsync(http);
        }
    }

    private async Task RelayAsync(HttpContext http, OpenAiRequest request, AnswerFormat format, RequestMeasurement measurement)
    {
        var plan = AnswerPlan.For(request, format, time.GetUtcNow());
        await using var session = sessions.Start(request.Generate);
        if (!request.Stream)
        {
            await WholeAnswer.SendAsync(http, session, plan, measurement);
            return;
        }

        using var answer = new StreamedAnswer(http, session, plan, options, time, measurement);
        await answer.SendAsync();
    }

    private static partial class Log
    {
        [LoggerMessage(100, LogLevel.Warning, "Request {RequestId}: the stream broke ({Code}): {Cause}")]
        public static partial void StreamBroke(ILogger logger, string requestId, string code, string cause);

        [LoggerMessage(101, LogLevel.Error, "Request {RequestId} failed")]
        public static partial void Failed(ILogger logger, string requestId, Exception exception);
    }
}
