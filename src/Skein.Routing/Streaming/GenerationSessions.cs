using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>Starts sessions and fixes what must not change after the first dispatch: an id, a place in the queue, a seed. Thread-safe.</summary>
public sealed class GenerationSessions : IGenerationSessions
{
    private readonly SessionServices _services;
    private readonly IRandomSource _random;
    private readonly ILogger _logger;
    private readonly ConcurrentDictionary<GenerationSession, bool> _open = [];
    private long _arrivals;

    /// <summary>Creates the sessions of one gateway.</summary>
    /// <param name="lateness">Time in which this process did not run, for which no replica is blamed; null: not measured.</param>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public GenerationSessions(
        FleetTracker fleet,
        AdmissionQueue admission,
        IReplicaLink link,
        StreamingOptions options,
        RoutingStatistics statistics,
        TimeProvider time,
        IRandomSource random,
        ILogger<GenerationSessions> logger,
        ProcessLateness? lateness = null)
    {
        options.Validate();
        _services = new SessionServices(fleet, admission, link, options, statistics, time) { Lateness = lateness };
        _random = random;
        _logger = logger;
    }

    /// <summary>
    /// Name of this gateway, sent to replicas so that their load reports can name its share. Default empty: a replica then reports this gateway's own
    /// streams as the load of others.
    /// </summary>
    public string Caller { get; set; } = "";

    /// <summary>Ends every open session with an error, so that each client gets its terminal event before the gateway stops.</summary>
    public void EndAll(string reason)
    {
        foreach (var session in _open.Keys)
            session.End(new FaultException(Fault.StreamLost, reason));
    }

    public void RequireRoom() => RequireRoom(_services.Statistics.Sessions + 1);

    public IGenerationSession Start(GenerateRequest request)
    {
        var sessions = _services.Statistics.SessionOpened();
        try
        {
            RequireRoom(sessions);
            _services.RequestCame();
            request.Caller = Caller;
            request.Model = ResolveModel(request.Model);
            request.Sampling ??= new Sampling();
            if (!request.Sampling.HasSeed)
                request.Sampling.Seed = _random.NextUInt64();
            var id = $"{_random.NextUInt64():x16}{_random.NextUInt64():x16}";
            if (request.RequestId.Length == 0)
                request.RequestId = id;
            var arrival = Interlocked.Increment(ref _arrivals);
            var session = new GenerationSession(id, request, arrival, _services, _logger, closed => _open.TryRemove(closed, out _));
            _open[session] = true;
            return session;
        }
        catch
        {
            _services.Statistics.SessionClosed();
            throw;
        }
    }

    private string ResolveModel(string model)
    {
        if (model.Length > 0)
            return model;
        var fleet = _services.Fleet.Current;
        var candidates = fleet.ServedModels.Count > 0 ? fleet.ServedModels : fleet.KnownModels;
        return candidates.Count switch
        {
            1 => candidates.First(),
            0 => throw new FaultException(Fault.NoReplica, "no replica is known yet, and the request names no model", _services.Admission.RetryAfter()),
            _ => throw new FaultException(
                Fault.InvalidRequest, $"model is missing; allowed: {string.Join(", ", candidates.Order(StringComparer.Ordinal).Take(16))}"),
        };
    }

    private void RequireRoom(int sessions)
    {
        if (sessions > _services.Options.MaxSessions)
            throw Overloaded($"this gateway is at its bound of {_services.Options.MaxSessions} sessions");
        if (_services.Statistics.JournalBytes > _services.Options.AllJournalsBytes)
            throw Overloaded($"the journals of this gateway are at their bound of {_services.Options.AllJournalsBytes} bytes");
    }

    private FaultException Overloaded(string message) =>
        new(Fault.TooManySessions, message, _services.Admission.RetryAfter());
}
