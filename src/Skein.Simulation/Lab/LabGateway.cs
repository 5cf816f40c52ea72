using Microsoft.Extensions.Logging.Abstractions;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Admission;
using Skein.Routing.Balancing;

namespace Skein.Simulation.Lab;

/// <summary>The routing of one gateway, as the product composes it.</summary>
internal sealed class LabGateway : IDisposable
{
    private readonly string _name;
    private readonly LabWorld _world;
    private readonly FleetTracker _fleet;
    private readonly AdmissionQueue _admission;
    private readonly ReachabilityMonitor _monitor;
    private readonly GenerationSessions _sessions;

    public LabGateway(string name, LabWorld world, AdmissionOptions admission, BalancingPolicies policies, ulong seed)
    {
        (_name, _world) = (name, world);
        var random = new SeededRandomSource(seed);
        var link = new LabLink(name, world);
        _fleet = new FleetTracker(world);
        _admission = new AdmissionQueue(admission, policies, _fleet, world.Time, random);
        _monitor = new ReachabilityMonitor(_fleet, link, world.Time, NullLogger<ReachabilityMonitor>.Instance);
        // Moves of streams need standby attempts, which the lab does not have.
        var options = new StreamingOptions { StragglerFactor = 0 };
        _sessions = new GenerationSessions(
            _fleet, _admission, link, options, new RoutingStatistics(), world.Time, random, NullLogger<GenerationSessions>.Instance) { Caller = name };
        foreach (var replica in world.Replicas)
        {
            Listen(replica);
            replica.Restarted += () => Listen(replica);
        }
    }

    /// <summary>Serves one request, as an API does, and notes what its client sees.</summary>
    public async Task AskAsync(LabRequest request)
    {
        var id = request.Number.ToString(CultureInfo.InvariantCulture);
        _world.Add(id, request);
        try
        {
            await using var session = _sessions.Start(new GenerateRequest
            {
                RequestId = id, Model = LabReplica.Model, Sampling = new Sampling { Seed = 1 }, SessionKey = _world.IsOracle ? id : "",
                Text = _world.UsesPrefixes ? LabPrompt.TextOf(request.Trace) : "prompt",
            });
            while (await session.WaitToReadAsync(CancellationToken.None))
            {
                while (session.TryRead(out var frame))
                {
                    if (frame.Count > 0)
                        request.FirstTokenAt ??= _world.Now;
                }
            }
            request.FinishedAt = _world.Now;
        }
        catch (FaultException refusal)
        {
            request.Fault = refusal.Fault;
        }
        _world.Remove(id);
    }

    /// <summary>A beacon arrives.</summary>
    public void Receive(LabReplica from, int running)
    {
        if (Known(from) is { } replica)
            _admission.Report([new RunningReport(replica, running, _world.Time.GetTimestamp())]);
    }

    public void Dispose()
    {
        _monitor.Dispose();
        _admission.Dispose();
        _fleet.Dispose();
    }

    private void Listen(LabReplica replica)
    {
        var table = replica.Slots;
        table.Listen(_name, number => _world.After(LabLink.OneWay, () =>
        {
            if (Known(replica) is not { } known || !_admission.TakeOffer(known))
                _world.After(LabLink.OneWay, () => table.Decline(_name, number));
        }));
    }

    private Replica? Known(LabReplica replica)
    {
        foreach (var known in _fleet.Current.Replicas)
        {
            if (known.Id.Name == replica.Name)
                return known.Id.Generation == replica.Generation ? known : null;
        }
        return null;
    }
}
