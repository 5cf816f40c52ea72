using System.Diagnostics;
using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>
/// The traces of requests: one span per request, which the API begins, with events for queueing, pick, first token and failover; and below it one span per
/// attempt, whose context the engine gets. While nobody listens there are no spans, and nothing is allocated. Thread-safe.
/// </summary>
public static class RequestTrace
{
    /// <summary>Name of the activity source.</summary>
    public const string SourceName = "Skein";

    /// <summary>Tag of the replica that an attempt or event is about, as clients see its name.</summary>
    public const string ReplicaTag = "skein.replica";

    private static readonly ActivitySource Source = new(SourceName);

    /// <summary>Whether anybody wants traces.</summary>
    public static bool IsOn => Source.HasListeners();

    /// <summary>The span of the request that runs here; null: it is not traced.</summary>
    internal static Activity? Current => IsOn && Activity.Current is { Source.Name: SourceName, IsAllDataRequested: true } current ? current : null;

    /// <summary>Begins the span of a request, which becomes the current one.</summary>
    /// <param name="operation">Name of its operation.</param>
    /// <param name="parent">The client's traceparent; empty: it begins a trace.</param>
    /// <param name="state">The client's tracestate.</param>
    /// <returns>The span, which the caller disposes; null: the request is not traced.</returns>
    public static Activity? Begin(string operation, string parent, string state)
    {
        if (!IsOn)
            return null;
        // A span of the HTTP server is not exported: it must be no parent.
        Activity.Current = null;
        ActivityContext.TryParse(parent, state, isRemote: true, out var context);
        return Source.StartActivity(operation, ActivityKind.Server, context);
    }

    /// <summary>Begins the span of an attempt below that of its request.</summary>
    /// <param name="request">Has the context of its request's span.</param>
    internal static Activity? BeginAttempt(GenerateRequest request, Replica replica)
    {
        var span = BeginAttempt(request.TraceParent, request.TraceState, replica);
        span?.SetTag("skein.attempt", (int)request.Attempt).SetTag("skein.choice", (int)request.Choice);
        return span;
    }

    /// <summary>The same for a call that is not generation.</summary>
    internal static Activity? BeginAttempt(string parent, string state, Replica replica)
    {
        if (!IsOn || !ActivityContext.TryParse(parent, state, isRemote: false, out var context))
            return null;
        var outer = Activity.Current;
        var span = Source.StartActivity("attempt", ActivityKind.Client, context);
        // It lasts beyond the caller, whose own calls are not part of it.
        Activity.Current = outer;
        return span?.SetTag(ReplicaTag, replica.Description.PublicName);
    }

    /// <summary>Ends the span of an attempt.</summary>
    /// <param name="fault">Why it was lost; null: it was not.</param>
    internal static void EndAttempt(Activity? span, long tokens, Fault? fault)
    {
        if (span is null)
            return;
        span.SetTag("skein.tokens", tokens);
        if (fault is { } lost)
            span.SetTag("error.type", lost.ToWireName()).SetStatus(ActivityStatusCode.Error);
        span.Dispose();
    }

    /// <summary>A request waits for a slot.</summary>
    internal static void Queued(Activity? span, int choice) => span?.AddEvent(new ActivityEvent("skein.queued", tags: new() { ["skein.choice"] = choice }));

    /// <summary>A replica was picked.</summary>
    internal static void Picked(Activity? span, int choice, string replica, TimeSpan waited) => span?.AddEvent(new ActivityEvent(
        "skein.picked", tags: new() { ["skein.choice"] = choice, [ReplicaTag] = replica, ["skein.queue.wait"] = waited.TotalSeconds }));

    /// <summary>The first token of a choice came.</summary>
    internal static void FirstToken(Activity? span, int choice, string replica) => span?.AddEvent(new ActivityEvent(
        "skein.first_token", tags: new() { ["skein.choice"] = choice, [ReplicaTag] = replica }));

    /// <summary>A choice left a replica.</summary>
    internal static void FailedOver(Activity? span, Failover failover) => span?.AddEvent(new ActivityEvent(
        "skein.failover", tags: new()
        {
            ["skein.choice"] = failover.Choice, ["skein.token"] = failover.TokenIndex, [ReplicaTag] = failover.From, ["error.type"] = failover.Reason,
        }));
}
