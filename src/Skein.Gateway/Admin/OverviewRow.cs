using Skein.Gateway.Telemetry;

namespace Skein.Gateway.Admin;

/// <summary>The answer of <c>GET /admin/v1/overview</c>: what this gateway sees and does now. Counts are since it started.</summary>
/// <param name="At">When this was read.</param>
/// <param name="Gateway">Name of this gateway in the group.</param>
/// <param name="Sessions">Requests that run or wait here.</param>
/// <param name="Waiting">Requests that wait for a slot here.</param>
/// <param name="Requests">Requests that ended.</param>
/// <param name="Failed">Requests that ended in an error that is not the client's.</param>
/// <param name="InputTokens">Tokens of the prompts of requests that ended.</param>
/// <param name="OutputTokens">Tokens of answers, also of running ones.</param>
/// <param name="FailoverCount">Changes of replica during a stream.</param>
/// <param name="FirstToken">Time from a request's arrival to its first token, of recent requests.</param>
/// <param name="BetweenTokens">Mean time between the tokens of an answer, of recent answers.</param>
/// <param name="Models">Models that are served now.</param>
/// <param name="Queues">Requests that wait, by model; models without a queue are left out.</param>
/// <param name="Members">The members of the group.</param>
/// <param name="Failovers">The newest failovers of this gateway, oldest first.</param>
public sealed record OverviewRow(
    DateTimeOffset At,
    string Gateway,
    int Sessions,
    int Waiting,
    long Requests,
    long Failed,
    long InputTokens,
    long OutputTokens,
    long FailoverCount,
    TimesRow FirstToken,
    TimesRow BetweenTokens,
    IReadOnlyList<string> Models,
    IReadOnlyList<QueueRow> Queues,
    IReadOnlyList<MemberRow> Members,
    IReadOnlyList<FailoverRow> Failovers)
{
    internal static OverviewRow Of(
        IMemberDirectory directory, IFleetVitals vitals, FleetTracker fleet, RequestTally tally, RoutingStatistics statistics, GenerationSessions sessions,
        TimeProvider time)
    {
        List<QueueRow> queues = [.. vitals.Queues().Where(queue => queue.Waiters > 0).Select(queue => new QueueRow(queue.Model, queue.Waiters))];
        return new OverviewRow(
            time.GetUtcNow(), sessions.Caller, statistics.Sessions, queues.Sum(queue => queue.Waiting), tally.Ended, tally.Failed, tally.InputTokens,
            tally.OutputTokens, statistics.FailoversOfAll, TimesRow.Of(tally.FirstToken), TimesRow.Of(tally.BetweenTokens),
            [.. fleet.Current.ServedModels.Order(StringComparer.Ordinal)], queues, [.. directory.Members.Select(MemberRow.From)],
            [.. statistics.Recent.Select(FailoverRow.Of)]);
    }
}

/// <summary>Percentiles in milliseconds; 0 without a measurement.</summary>
/// <param name="Count">Measurements among which they are.</param>
public sealed record TimesRow(long Count, double P50, double P90, double P99)
{
    internal static TimesRow Of(RecentTimes times)
    {
        var at = times.At(50, 90, 99);
        return new TimesRow(times.Count, at[0].TotalMilliseconds, at[1].TotalMilliseconds, at[2].TotalMilliseconds);
    }
}

/// <summary>Requests that wait for a slot of a model.</summary>
public sealed record QueueRow(string Model, int Waiting);

/// <summary>A failover of a stream of this gateway.</summary>
/// <param name="Number">Rises by one with each failover.</param>
/// <param name="Request">Id of the request.</param>
/// <param name="Token">Index of the first token of the new replica.</param>
/// <param name="From">Replica that was left.</param>
/// <param name="Reason">Why, as in the metric <c>skein.failovers</c>.</param>
public sealed record FailoverRow(long Number, DateTimeOffset At, string Request, int Choice, int Token, string From, string Reason)
{
    internal static FailoverRow Of(RecentFailover recent) => new(
        recent.Number, recent.At, recent.RequestId, recent.Failover.Choice, recent.Failover.TokenIndex, recent.Failover.From, recent.Failover.Reason);
}
