using System.Diagnostics;

namespace Skein.Serving;

/// <summary>
/// The spans of a replica: one per attempt, below that of the gateway, and above that of the engine. While nobody listens there are none. Thread-safe.
/// </summary>
public static class AttemptTrace
{
    /// <summary>Name of the activity source.</summary>
    public const string SourceName = "Skein.Replica";

    private static readonly ActivitySource Source = new(SourceName);

    /// <summary>Begins the span of an attempt.</summary>
    /// <param name="request">Has the context of its gateway's span.</param>
    /// <returns>The span, and the request with its context; null: the attempt is not traced.</returns>
    internal static (Activity Span, GenerateRequest Request)? Begin(GenerateRequest request)
    {
        if (!Source.HasListeners() || !ActivityContext.TryParse(request.TraceParent, request.TraceState, isRemote: true, out var context))
            return null;
        var outer = Activity.Current;
        var span = Source.StartActivity($"generate {request.Model}", ActivityKind.Server, context);
        // It lasts beyond the caller, whose own calls are not part of it.
        Activity.Current = outer;
        if (span is null)
            return null;
        span.SetTag("gen_ai.request.model", request.Model).SetTag("skein.request.id", request.RequestId)
            .SetTag("skein.attempt", (int)request.Attempt).SetTag("skein.choice", (int)request.Choice);
        return (span, new GenerateRequest(request) { TraceParent = span.Id, TraceState = span.TraceStateString ?? "" });
    }

    /// <summary>The first token came.</summary>
    internal static void FirstToken(Activity? span) => span?.AddEvent(new ActivityEvent("skein.first_token"));

    /// <summary>Ends the span of an attempt.</summary>
    /// <param name="isFinished">Whether it ended with a finish.</param>
    /// <param name="isStopped">Whether its gateway stopped it.</param>
    internal static void End(Activity? span, long tokens, bool isFinished, bool isStopped)
    {
        if (span is null)
            return;
        span.SetTag("skein.tokens", tokens);
        if (!isFinished)
            span.SetTag("error.type", isStopped ? "stopped" : "failed");
        if (!isFinished && !isStopped)
            span.SetStatus(ActivityStatusCode.Error);
        span.Dispose();
    }
}
