namespace Skein.Gateway.Admin;

/// <summary>Whether this gateway can serve: the answer of <c>/readyz</c> and of gRPC health checks. Thread-safe.</summary>
internal sealed class Readiness(FleetTracker fleet, int expectedReplicas)
{
    private volatile bool _isStopping;

    /// <summary>Whether the gateway stops soon: load balancers should send no more requests here.</summary>
    public bool IsStopping
    {
        get => _isStopping;
        set => _isStopping = value;
    }

    /// <summary>What is missing; null if the gateway can serve.</summary>
    public string? Missing => Count().Missing;

    public ReplicaCounts Count()
    {
        List<Replica> live = [.. fleet.Current.Replicas.Where(replica => replica.Reachable && !replica.Description.Suspect)];
        var refusing = live.RemoveAll(replica => replica.Description.Problem.Length > 0);
        return new ReplicaCounts(live.Count, live.Count(replica => replica.Draining), expectedReplicas, _isStopping, refusing);
    }
}

/// <summary>Replicas as this gateway counts them now.</summary>
/// <param name="Live">Replicas that answer, draining ones included.</param>
/// <param name="Draining">Those of them that take no new work.</param>
/// <param name="Expected">Live replicas from which the gateway is ready.</param>
/// <param name="IsStopping">Whether the gateway stops soon.</param>
/// <param name="Refusing">Further ones that refuse the link key of this gateway.</param>
internal readonly record struct ReplicaCounts(int Live, int Draining, int Expected, bool IsStopping, int Refusing = 0)
{
    /// <summary>
    /// What is missing; null if the gateway can serve. A draining replica counts: it comes back, and a rolling update must not take the gateway out of service.
    /// </summary>
    public string? Missing =>
        IsStopping ? "the gateway is stopping"
        : Live < Expected ? $"{Live} of {Expected} replicas are ready{(Refusing > 0 ? $"; {Refusing} refuse the link key of this gateway" : null)}"
        : Live > 0 && Draining == Live ? "all replicas are draining"
        : null;

    /// <summary>The counts in words.</summary>
    public override string ToString() => $"{Live} of {Expected} expected replicas, {Draining} draining";
}
