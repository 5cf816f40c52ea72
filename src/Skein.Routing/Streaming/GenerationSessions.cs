using Microsoft.Extensions.Logging;
using Skein.Protocol.V1;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>Starts sessions and gives them what must be fixed before the first dispatch: an id, a place in the line, a seed. Thread-safe.</summary>
public sealed class GenerationSessions : IGenerationSessions
{
    private readonly SessionServices _services;
    private readonly IRandomSource _random;
    private readonly ILogger _logger;
    private long _arrivals;

    /// <summary>Creates the entrance of a gateway.</summary>
    public GenerationSessions(
        FleetTracker fleet,
        AdmissionQueue admission,
        IReplicaLink link,
        StreamingOptions options,
        RoutingStatistics statistics,
        TimeProvider time,
        IRandomSource random,
        ILogger<GenerationSessions> logger)
    {
        _services = new SessionServices(fleet, admission, link, options, statistics, time);
        _random = random;
        _logger = logger;
    }

    /// <inheritdoc/>
    public IGenerationSession Start(GenerateRequest request)
    {
        if (_services.Statistics.SessionOpened() > _services.Options.MaxSessions)
        {
            _services.Statistics.SessionClosed();
            throw Overloaded($"this gateway holds its bound of {_services.Options.MaxSessions} sessions");
        }
        try
        {
            if (_services.Statistics.JournalBytes > _services.Options.AllJournalsBytes)
                throw Overloaded($"the journals of this gateway hold their bound of {_services.Options.AllJournalsBytes} bytes");
            request.Caller = _services.Options.Caller;
            request.Model = ResolveModel(request.Model);
            request.Sampling ??= new Sampling();
            if (!request.Sampling.HasSeed)
                request.Sampling.Seed = _random.NextUInt64();
            string id = $"{_random.NextUInt64():x16}{_random.NextUInt64():x16}";
            if (request.RequestId.Length == 0)
                request.RequestId = id;
            return new GenerationSession(id, request, Interlocked.Increment(ref _arrivals), _services, _logger);
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
        IReadOnlyCollection<string> known = _services.Fleet.Current.KnownModels;
        if (known.Count == 1)
            return known.First();
        string reason = known.Count == 0 ? "no model is served yet" : $"allowed: {string.Join(", ", known.Order(StringComparer.Ordinal).Take(16))}";
        throw new SessionException(SessionError.InvalidRequest, $"model is missing; {reason}");
    }

    private static SessionException Overloaded(string message) =>
        new(SessionError.TooManySessions, message, TimeSpan.FromSeconds(1));
}
