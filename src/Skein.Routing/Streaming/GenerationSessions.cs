using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Skein.Routing.Admission;
using Skein.Routing.Balancing;
using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>Starts sessions and fixes what must not change after the first dispatch: an id, a place in the queue, a seed. Thread-safe.</summary>
/// <param name="lateness">Time in which this process did not run, for which no replica is blamed; null: not measured.</param>
/// <exception cref="ArgumentException">An option is out of its range.</exception>
public sealed class GenerationSessions(
    FleetTracker fleet,
    AdmissionQueue admission,
    IReplicaLink link,
    StreamingOptions options,
    RoutingStatistics statistics,
    TimeProvider time,
    IRandomSource random,
    ILogger<GenerationSessions> logger,
    ProcessLateness? lateness = null) : IGenerationSessions, IEngineCalls
{
    private volatile SessionServices _services = new(fleet, admission, link, options.Validate(), statistics, time) { Lateness = lateness };
    private readonly ConcurrentDictionary<GenerationSession, bool> _open = [];
    private long _arrivals;

    /// <summary>
    /// Name of this gateway, sent to replicas so that their load reports can name its share. Default empty: a replica then reports this gateway's own
    /// streams as the load of others.
    /// </summary>
    public string Caller { get; set; } = "";

    /// <summary>Uses other bounds for sessions that start from now on; budgets of retries and hedges begin anew.</summary>
    /// <exception cref="ArgumentException">An option is out of its range. Nothing has changed.</exception>
    public void Use(StreamingOptions options)
    {
        var before = _services.Options;
        var isSame = options.HedgedModels.SetEquals(before.HedgedModels) && options with { HedgedModels = before.HedgedModels } == before;
        if (!isSame)
            _services = new(fleet, admission, link, options.Validate(), statistics, time) { Lateness = lateness };
    }

    /// <summary>Ends every open session with an error, so that each client gets its terminal event before the gateway stops.</summary>
    public void EndAll(string reason)
    {
        foreach (var session in _open.Keys)
            session.End(new FaultException(Fault.StreamLost, reason));
    }

    public void RequireRoom() => RequireRoom(statistics.Sessions + 1);

    public IGenerationSession Start(GenerateRequest request, IReadOnlyList<CompletionPrompt>? prompts = null)
    {
        var sessions = statistics.SessionOpened();
        try
        {
            RequireRoom(sessions);
            _services.RequestCame();
            request.Caller = Caller;
            request.Model = ResolveModel(request.Model);
            request.Sampling ??= new Sampling();
            var isSeeded = request.Sampling.HasSeed;
            if (!isSeeded)
                request.Sampling.Seed = random.NextUInt64();
            var id = $"{random.NextUInt64():x16}{random.NextUInt64():x16}";
            if (request.RequestId.Length == 0)
                request.RequestId = id;
            var arrival = Interlocked.Increment(ref _arrivals);
            var session = new GenerationSession(
                id, request, prompts, arrival, TraitsOf(request), isSeeded, _services, logger, closed => _open.TryRemove(closed, out _));
            _open[session] = true;
            return session;
        }
        catch
        {
            statistics.SessionClosed();
            throw;
        }
    }

    async Task<IEngineCall> IEngineCalls.StartAsync(InvokeRequest request, CancellationToken cancellationToken)
    {
        var sessions = statistics.SessionOpened();
        PassThroughCall call;
        try
        {
            RequireRoom(sessions);
            _services.RequestCame();
            request.Caller = Caller;
            request.Model = ResolveModel(request.Model);
            call = new PassThroughCall(_services, request, Interlocked.Increment(ref _arrivals), statistics.SessionClosed, cancellationToken);
        }
        catch
        {
            statistics.SessionClosed();
            throw;
        }
        try
        {
            await call.BeginAsync();
            return call;
        }
        catch
        {
            await call.DisposeAsync();
            throw;
        }
    }

    private RequestTraits TraitsOf(GenerateRequest request) => new()
    {
        SessionKey = request.SessionKey,
        PrefixHashes = admission.UsesPrefixes(request.Model) ? PromptPrefixes.Of(request) : default(ReadOnlyMemory<ulong>),
        Tenant = request.Tenant,
        PromptTokens = PromptTokensOf(request),
        IsRetry = request.RetryCount > 0,
    };

    private static long PromptTokensOf(GenerateRequest request)
    {
        const int BytesPerToken = 4;
        return request.PromptCase switch
        {
            GenerateRequest.PromptOneofCase.TokenIds => request.TokenIds.Ids.Count,
            GenerateRequest.PromptOneofCase.Chat => (request.Chat.Messages.Length + request.Chat.Tools.Length) / BytesPerToken,
            _ => request.Text.Length / BytesPerToken,
        };
    }

    private string ResolveModel(string model)
    {
        if (model.Length > 0)
            return model;
        var current = fleet.Current;
        var candidates = current.ServedModels.Count > 0 ? current.ServedModels.Where(current.IsOwnName).ToList() : current.KnownModels;
        return candidates.Count switch
        {
            1 => candidates.First(),
            0 => throw new FaultException(Fault.NoReplica, "no replica is known yet, and the request names no model", retryAfter: admission.RetryAfter()),
            _ => throw new FaultException(Fault.InvalidRequest, $"model is missing; allowed: {Named(current)}") { Param = "model" },
        };
    }

    // With the aliases.
    private static string Named(FleetSnapshot fleet) =>
        string.Join(", ", (fleet.ServedModels.Count > 0 ? fleet.ServedModels : fleet.KnownModels).Order(StringComparer.Ordinal).Take(16));

    private void RequireRoom(int sessions)
    {
        var bounds = _services.Options;
        if (sessions > bounds.MaxSessions)
            throw Overloaded($"this gateway is at its bound of {bounds.MaxSessions} sessions");
        if (statistics.JournalBytes > bounds.AllJournalsBytes)
            throw Overloaded($"the journals of this gateway are at their bound of {bounds.AllJournalsBytes} bytes");
    }

    private FaultException Overloaded(string message) =>
        new(Fault.TooManySessions, message, retryAfter: admission.RetryAfter());
}
