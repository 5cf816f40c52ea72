namespace Skein.Gateway.Upstreams;

/// <summary>One upstream in <see cref="UpstreamFleet"/>, whose lock guards it.</summary>
internal sealed class UpstreamRow
{
    /// <summary>Most models that are remembered after the server stopped serving them.</summary>
    private const int MostModels = 1024;

    public required string Name { get; init; }

    public required string Label { get; init; }

    /// <summary>Address of its server; null: it is not shared.</summary>
    public required Uri? Url { get; init; }

    /// <summary>Models that it is meant to serve; empty: any.</summary>
    public required IReadOnlyList<string> Expected { get; init; }

    public ReplicaDescription? Replica { get; set; }

    /// <summary>Why it does not serve, while it does not.</summary>
    public UpstreamProblem Problem { get; set; } = UpstreamProblem.Connecting;

    public IReplicaControl? Control { get; set; }

    public SlotTurns Turns { get; } = new();

    public Func<FaultException?>? KeyRefusal { get; set; }

    public string Reason =>
        Current is not { } current ? Problem.Reason : KeyRefusal?.Invoke() is { } refusal ? UpstreamProblem.Of(refusal).Reason : current.TierReason;

    /// <summary>The replica with its slots and its drain as they are now; null while it does not serve.</summary>
    public ReplicaDescription? Current =>
        Replica is null || Control is null ? null
        : Control.GraceLeft is { } graceLeft ? Replica with { Slots = Control.Slots, Draining = true, HandOver = graceLeft == TimeSpan.Zero }
        : Replica with { Slots = Control.Slots };

    public FleetTrouble Trouble => new(
        Models.Count > 0 ? [.. Models] : Expected.Count > 0 ? Expected : null, $"{Label} {Problem.Cause}", Problem.IsFinal, Problem.Fault);

    /// <summary>Whether it has served since it was added.</summary>
    public bool IsSeen { get; set; }

    /// <summary>It is being removed: it only finishes its streams, and its name may be in use again.</summary>
    public bool IsLeaving { get; set; }

    /// <summary>Models it has ever served.</summary>
    public HashSet<string> Models { get; } = new(StringComparer.Ordinal);

    public void Serve(ReplicaDescription replica)
    {
        (Replica, IsSeen) = (replica, true);
        Models.UnionWith(replica.Models.Take(MostModels - Models.Count));
    }
}
