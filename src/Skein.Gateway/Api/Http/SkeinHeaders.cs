using System.Diagnostics;

namespace Skein.Gateway.Api.Http;

/// <summary>Skein's headers: HTTP headers, and metadata over gRPC. An absent request header changes nothing.</summary>
internal static class SkeinHeaders
{
    /// <summary>In and out: id of the request. The client's own if it is valid (1 to 128 characters of visible ASCII), else a random one.</summary>
    public const string RequestId = "x-request-id";

    /// <summary>Out: name of the replica that serves choice 0; for an upstream without a configured name <c>upstream-</c> and its number.</summary>
    public const string Replica = "x-skein-replica";

    /// <summary>Out: number of attempts so far, over all choices.</summary>
    public const string Attempts = "x-skein-attempts";

    /// <summary>Out: resume tier of the request: <c>exact</c>, <c>tokens</c>, <c>text</c> or <c>none</c>.</summary>
    public const string ResumeTier = "x-skein-resume-tier";

    /// <summary>Out: failovers during the stream, as written by <see cref="FailoverReport"/>. A gRPC trailer; over HTTP it is an SSE comment.</summary>
    public const string Failovers = "x-skein-failovers";

    /// <summary>In: what to do when the replica is lost during the stream: <c>exact</c>, <c>best-effort</c> (default) or <c>never</c>.</summary>
    public const string Failover = "x-skein-failover";

    /// <summary>In: priority class, -8 to 8; lower is served first. Default 0.</summary>
    public const string Priority = "x-skein-priority";

    /// <summary>In: how long the client waits for the whole answer, in milliseconds from its arrival, 1 to 86,400,000. Default: no deadline.</summary>
    public const string Deadline = "x-skein-deadline-ms";

    /// <summary>In: <c>1</c> sends the request to a second replica when the first token is late, within the gateway's budget. Default <c>0</c>.</summary>
    public const string Hedge = "x-skein-hedge";

    /// <summary>In: <c>1</c> streams tool calls as the engine makes them, <c>0</c> sends each whole. Default: the gateway's own.</summary>
    public const string StreamToolCalls = "x-skein-stream-tool-calls";

    /// <summary>In: <c>1</c> sends the headers of a stream after the header hold, although the request still waits in the queue. Default <c>0</c>.</summary>
    public const string EarlyHeaders = "x-skein-early-headers";

    /// <summary>In: <c>1</c> adds a comment to a stream wherever another replica goes on: <c>: skein replica=NAME</c>. Default <c>0</c>.</summary>
    public const string ShowReplica = "x-skein-show-replica";

    /// <summary>In: how often the client has sent this request before, as official SDKs say. What is no number does not count.</summary>
    public const string RetryCount = "x-stainless-retry-count";

    /// <summary>In: W3C trace context, which engines get as it came. One that is not valid counts as absent.</summary>
    public const string TraceParent = "traceparent";

    /// <summary>In: the part of <see cref="TraceParent"/> that vendors add.</summary>
    public const string TraceState = "tracestate";

    private const int MostTraceStateChars = 512;

    /// <summary>Reads the headers that choose how a request is served, and its trace.</summary>
    /// <param name="header">Returns a header's value by its name; null or empty if absent.</param>
    /// <param name="userId">See <see cref="ApiRequest.UserId"/>.</param>
    /// <exception cref="RequestRefusedException">Names the header, its value and what is allowed.</exception>
    public static void Read(GenerateRequest request, Func<string, string?> header, string? userId = null)
    {
        if (header(Failover) is { Length: > 0 } failover)
        {
            request.Failover = failover switch
            {
                "exact" => FailoverPolicy.Exact,
                "best-effort" => FailoverPolicy.BestEffort,
                "never" => FailoverPolicy.Never,
                _ => throw Unknown(Failover, failover, "exact, best-effort, never"),
            };
        }

        if (header(Hedge) is { Length: > 0 })
            request.Hedge = ReadSwitch(header, Hedge);

        if (header(StreamToolCalls) is { Length: > 0 } calls)
            request.StreamToolCalls = calls is "0" or "1" ? calls is "1" : throw Unknown(StreamToolCalls, calls, "0, 1");

        if (ReadPriority(header) is { } priority)
            request.Priority = priority;
        if (ReadDeadline(header) is { } deadline)
            request.DeadlineMs = deadline;
        (request.TraceParent, request.TraceState) = ReadTrace(header);
        if (request.SessionKey.Length == 0)
            request.SessionKey = SessionKey.Find(request, header, userId);
        request.Tenant = Tenant.Of(header);
        if (uint.TryParse(header(RetryCount), NumberStyles.None, CultureInfo.InvariantCulture, out var retries))
            request.RetryCount = retries;
    }

    /// <summary>Whether the client asks for headers before a replica works for it.</summary>
    /// <exception cref="RequestRefusedException">Names the header, its value and what is allowed.</exception>
    public static bool WantsEarlyHeaders(Func<string, string?> header) => ReadSwitch(header, EarlyHeaders);

    /// <summary>Whether the client asks for comments that name the replicas.</summary>
    /// <exception cref="RequestRefusedException">Names the header, its value and what is allowed.</exception>
    public static bool WantsReplica(Func<string, string?> header) => ReadSwitch(header, ShowReplica);

    /// <summary>The priority class that the client asks for; null: none.</summary>
    /// <exception cref="RequestRefusedException">Names the header, its value and what is allowed.</exception>
    public static int? ReadPriority(Func<string, string?> header)
    {
        if (header(Priority) is not { Length: > 0 } priority)
            return null;
        return int.TryParse(priority, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) && RequestLimits.Priority.Contains(number)
            ? number
            : throw Unknown(Priority, priority, RequestLimits.Priority.ToString());
    }

    /// <summary>How long the client waits for its answer, in milliseconds; null: it does not say.</summary>
    /// <exception cref="RequestRefusedException">Names the header, its value and what is allowed.</exception>
    public static uint? ReadDeadline(Func<string, string?> header)
    {
        if (header(Deadline) is not { Length: > 0 } deadline)
            return null;
        return uint.TryParse(deadline, NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds) && RequestLimits.DeadlineMs.Contains(milliseconds)
            ? milliseconds
            : throw Unknown(Deadline, deadline, $"{RequestLimits.DeadlineMs} ms");
    }

    /// <summary>The client's trace; empty parts are absent or not valid.</summary>
    public static (string Parent, string State) ReadTrace(Func<string, string?> header) =>
        header(TraceParent) is not { } parent || !ActivityContext.TryParse(parent, traceState: null, out _) ? ("", "")
        : header(TraceState) is { Length: <= MostTraceStateChars } state && !state.AsSpan().ContainsAnyExceptInRange(' ', '~') ? (parent, state)
        : (parent, "");

    /// <summary>Adds the headers that describe a session to headers (HTTP) or metadata (gRPC).</summary>
    public static void Write<THeaders>(IGenerationSession session, THeaders headers, Action<THeaders, string, string> add)
    {
        Write(session.Attempts, session.Replica, headers, add);
        if (session.ResumeTier.ToWireName() is { } tier)
            add(headers, ResumeTier, tier);
    }

    /// <summary>Adds the headers that say who serves a request.</summary>
    public static void Write<THeaders>(int attempts, string? replica, THeaders headers, Action<THeaders, string, string> add)
    {
        add(headers, Attempts, attempts.ToString(CultureInfo.InvariantCulture));
        if (replica is not null)
            add(headers, Replica, VisibleText.Clean(replica));
    }

    private static bool ReadSwitch(Func<string, string?> header, string name) =>
        header(name) is { Length: > 0 } value && (value is "0" or "1" ? value is "1" : throw Unknown(name, value, "0, 1"));

    private static RequestRefusedException Unknown(string name, string value, string allowed) =>
        RequestRefusedException.Invalid(name, $"'{VisibleText.Clean(value)}' is not known; allowed: {allowed}");
}
