using System.Collections.Concurrent;

namespace Skein.Gateway.Links.InProcess;

/// <summary>
/// Reaches replicas whose <see cref="EngineHost"/> runs in this process: no socket, no encoding, no queue. The session reads the engine's frames itself, so a
/// slow client pauses its engine. Thread-safe.
/// </summary>
internal sealed partial class InProcessReplicaLink : IReplicaTransport, IDisposable
{
    /// <summary><see cref="ReplicaDescription.Address"/> of replicas in this process. No member of a group can have it: it has no port.</summary>
    public const string Address = "in-process";

    private static readonly TimeSpan TickInterval = TimeSpan.FromMilliseconds(250);

    private readonly ConcurrentDictionary<ReplicaId, HostedReplica> _hosts = [];
    private readonly ConcurrentDictionary<InProcessAttempt, bool> _attempts = [];
    private readonly ITimer _timer;
    private readonly AdmissionQueue? _admission;

    /// <param name="admission">Receives the slots that replicas offer to this gateway; null: every offer is declined.</param>
    public InProcessReplicaLink(TimeProvider time, ILogger<InProcessReplicaLink> logger, AdmissionQueue? admission = null)
    {
        (Time, Logger, _admission) = (time, logger, admission);
        _timer = time.CreateTimer(_ => Tick(), state: null, TickInterval, TickInterval);
    }

    public TimeProvider Time { get; }

    public ILogger Logger { get; }

    public void Add(ReplicaId id, EngineHost host) => _hosts[id] = new HostedReplica(host, _admission);

    /// <summary>Undoes <see cref="Add"/>. Running attempts continue.</summary>
    public void Remove(ReplicaId id)
    {
        if (_hosts.TryRemove(id, out var entry))
            entry.Offers.Dispose();
    }

    /// <summary>False: this link cannot break without its process.</summary>
    public bool CanBreak(Replica replica) => false;

    /// <summary>Control of a replica; null if it does not run in this process.</summary>
    public IReplicaControl? ControlOf(Replica replica) => _hosts.TryGetValue(replica.Id, out var entry) ? entry.Host.Control : null;

    public IAsyncEnumerable<GenerateFrame> GenerateAsync(Replica replica, GenerateRequest request, CancellationToken cancellationToken) =>
        new InProcessAttempt(this, replica, request, cancellationToken);

    public IAsyncEnumerable<InvokeFrame> InvokeAsync(Replica replica, InvokeRequest request, CancellationToken cancellationToken)
    {
        var entry = EntryOf(replica);
        entry.UsedBy(replica, request.Caller);
        return entry.Host.Begin(request).ReadAsync(cancellationToken);
    }

    public Task ContinueAsync(Replica replica, ContinueRequest request, CancellationToken cancellationToken)
    {
        try
        {
            EntryOf(replica).Host.Continue(request);
            return Task.CompletedTask;
        }
        catch (FaultException refusal)
        {
            return Task.FromException(refusal);
        }
    }

    public async Task<DescribeResponse> DescribeAsync(Replica replica, CancellationToken cancellationToken) =>
        await EntryOf(replica).Host.DescribeAsync(new DescribeRequest(), cancellationToken);

    /// <summary>Lets an attempt send heartbeats while its engine is silent.</summary>
    public void BeginTicks(InProcessAttempt attempt) => _attempts[attempt] = true;

    public void EndTicks(InProcessAttempt attempt) => _attempts.TryRemove(attempt, out _);

    public void Dispose()
    {
        _timer.Dispose();
        foreach (var id in _hosts.Keys)
            Remove(id);
    }

    private void Tick()
    {
        foreach (var (attempt, _) in _attempts)
            attempt.Tick();
    }

    /// <exception cref="FaultException">The replica has left the fleet, or refused the request.</exception>
    public EngineAttempt Begin(Replica replica, GenerateRequest request)
    {
        var entry = EntryOf(replica);
        entry.UsedBy(replica, request.Caller);
        return entry.Host.Begin(request);
    }

    private HostedReplica EntryOf(Replica replica) =>
        _hosts.TryGetValue(replica.Id, out var entry) ? entry : throw new FaultException(Fault.Unreachable, $"{replica.Id} left the fleet");

    private sealed class HostedReplica
    {
        private readonly AdmissionQueue? _admission;
        private volatile Replica? _replica;

        public HostedReplica(EngineHost host, AdmissionQueue? admission)
        {
            (Host, _admission) = (host, admission);
            Offers = host.SubscribeToOffers(
                // On another thread: offers are made under the lock of the slots, and admission has its own lock.
                offer => ThreadPool.UnsafeQueueUserWorkItem(static state => state.Self.Take(state.Offer), (Self: this, Offer: offer), preferLocal: false));
        }

        public EngineHost Host { get; }

        public OfferSubscription Offers { get; }

        public void UsedBy(Replica replica, string caller)
        {
            _replica = replica;
            Offers.ListenAs(caller);
        }

        private void Take(uint offer)
        {
            if (_replica is not { } replica || _admission?.TakeOffer(replica) is not true)
                Offers.Decline(offer);
        }
    }
}
