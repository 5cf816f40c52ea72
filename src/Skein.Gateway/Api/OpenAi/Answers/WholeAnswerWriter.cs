using System.Buffers;
using Microsoft.AspNetCore.Http;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Telemetry;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary>Collects a session's choices and answers with one JSON object.</summary>
internal static class WholeAnswer
{
    /// <exception cref="SessionException">The session failed; nothing was sent.</exception>
    /// <exception cref="OperationCanceledException">The client is gone.</exception>
    public static async Task SendAsync(HttpContext http, IGenerationSession session, AnswerPlan plan, RequestMeasurement measurement)
    {
        var choices = new CollectedChoice[plan.Choices];
        for (var i = 0; i < choices.Length; i++)
            choices[i] = new CollectedChoice();
        Start? start = null;
        UsageTotal usage = default;
        while (await session.WaitToReadAsync(http.RequestAborted))
        {
            while (session.TryRead(out var frame))
            {
                measurement.Observe(frame);
                start ??= frame.Start;
                choices[frame.Choice].Add(frame);
                if (frame.Finish is { } finish)
                    usage.Add(finish.Usage);
            }
        }

        var head = AnswerHead.Write(plan, plan.Format.WholeObject, session.Id, start ?? new Start());
        var body = Write(head, plan, choices, usage);
        SessionHeaders.Write(http.Response.Headers, session);
        http.Response.ContentType = "application/json";
        http.Response.ContentLength = body.WrittenCount;
        await http.Response.BodyWriter.WriteAsync(body.WrittenMemory, http.RequestAborted);
    }

    private static ArrayBufferWriter<byte> Write(byte[] head, AnswerPlan plan, CollectedChoice[] choices, UsageTotal usage)
    {
        var body = new ArrayBufferWriter<byte>(4096);
        var json = new JsonSink(body);
        json.Raw(head);
        for (var i = 0; i < choices.Length; i++)
        {
            if (i > 0)
                json.Raw(","u8);
            plan.Format.WriteWhole(ref json, i, choices[i], plan);
        }

        json.Raw("],\"usage\":"u8);
        UsageJson.Write(ref json, usage);
        json.Raw("}"u8);
        json.Complete();
        return body;
    }
}
