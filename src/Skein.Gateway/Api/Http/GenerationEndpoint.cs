using Skein.Gateway.Keys;
using Skein.Gateway.Telemetry;

namespace Skein.Gateway.Api.Http;

/// <summary>Serves one request of any dialect that generates text: reads it, runs a session, sends the answer or the error. Thread-safe.</summary>
internal sealed class GenerationEndpoint(KeptAnswers kept, ApiOptions options, TimeProvider time, RequestRunner runner)
{
    public Task AnswerAsync(HttpContext http, IApiDialect dialect, IGenerationApi api) =>
        runner.RunAsync(http, dialect, api.Operation, async (share, measurement) =>
        {
            var body = await RequestBody.ReadAsync(http.Request, options.MaxBodyBytes, share, http.RequestAborted);
            var request = api.Read(body, time.GetUtcNow());
            request.Generate.RequestId = http.TraceIdentifier;
            request.Generate.StreamToolCalls = options.StreamToolCalls;
            SkeinHeaders.Read(request.Generate, name => http.Request.Headers[name], request.UserId);
            measurement.TraceTo(request.Generate);
            var grant = http.Features.Get<KeyGrant>();
            KeyGrant.Apply(grant, request.Generate);
            measurement.ChargeTo(grant, request.Generate.Model, isBegun: false);
            try
            {
                await RelayAsync(http, request, body, measurement);
            }
            catch (FaultException overflow) when (
                overflow.Fault == Fault.ContextLengthExceeded && !http.Response.HasStarted && api.DescribeOverflow(overflow, MaxTokensOf(request)) is { } words)
            {
                throw overflow.InWords(words);
            }
            catch (FaultException refusal) when (refusal is { Param: { } member, Engine: null } && api.ClientMember(member) is var name && name != member)
            {
                throw refusal.ForMember(name);
            }
        });

    private async Task RelayAsync(HttpContext http, ApiRequest request, ReadOnlyMemory<byte> body, RequestMeasurement measurement)
    {
        if (!options.ClampMaxTokens || !request.Generate.HasMaxTokens)
        {
            await RelayOnceAsync(http, request, body, measurement);
            return;
        }

        try
        {
            await RelayOnceAsync(http, request, body, measurement);
        }
        catch (FaultException e) when (e.Fault == Fault.ContextLengthExceeded && !http.Response.HasStarted)
        {
            var clamped = new GenerateRequest(request.Generate);
            // Where the refusal does not tell what the context leaves, the engine's default may be it.
            var overflow = ContextOverflow.Read(e.Engine?.Message ?? e.Message, clamped.MaxTokens);
            if (overflow is { IsOfPrompt: true })
                throw;
            if (overflow is { } told)
                clamped.MaxTokens = told.Left;
            else
                clamped.ClearMaxTokens();
            try
            {
                await RelayOnceAsync(http, request with { Generate = clamped }, body, measurement);
            }
            catch (FaultException again) when (again.Fault == Fault.ContextLengthExceeded && !http.Response.HasStarted)
            {
                // The client knows the number that it sent.
                throw e;
            }
        }
    }

    private static uint? MaxTokensOf(ApiRequest request) => request.Generate.HasMaxTokens ? request.Generate.MaxTokens : null;

    private async Task RelayOnceAsync(HttpContext http, ApiRequest request, ReadOnlyMemory<byte> body, RequestMeasurement measurement)
    {
        var hasSeveralChoices = request.Generate.N > 1 || request.Prompts is not null;
        await using var session = kept.StartOrJoin(
            request.Generate, request.Prompts, http.Request.Path.Value ?? "", http.Request.Headers[KeptAnswers.Header], body.Span,
            http.Features.Get<KeyGrant>());
        measurement.Follow(session);
        var writer = request.CreateWriter(session.Id);
        if (writer is IEventWriter events)
        {
            await new StreamedAnswer(http, session, events, hasSeveralChoices, options, time, measurement).SendAsync();
            return;
        }

        var answer = new ArrayBufferWriter<byte>(4096);
        while (!writer.IsComplete && await session.WaitToReadAsync(http.RequestAborted))
        {
            while (session.TryRead(out var frame))
            {
                measurement.Observe(frame);
                writer.Write(frame, answer);
            }
        }

        writer.Complete(answer, comment: null);
        SkeinHeaders.Write(session, http.Response.Headers, static (headers, name, value) => headers[name] = value);
        await ApiError.SendJsonAsync(http, answer.WrittenMemory);
    }
}
