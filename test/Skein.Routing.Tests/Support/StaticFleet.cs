using Skein.Routing.Fleet;

namespace Skein.Routing.Tests.Support;

/// <summary>A fleet that the test changes by hand.</summary>
internal sealed class StaticFleet : IFleetSource
{
    public StaticFleet(params ReplicaDescription[] replicas) => Set(replicas);

    public event Action? Changed;

    public FleetView Current { get; private set; } = FleetView.Empty;

    public void Set(params ReplicaDescription[] replicas) => Set(replicas, complete: true);

    public void Set(ReplicaDescription[] replicas, bool complete, params string[] knownModels)
    {
        Current = new FleetView(replicas, knownModels, complete);
        Changed?.Invoke();
    }

    public static ReplicaDescription Replica(string name, int slots = 4, double weight = 1, ulong generation = 1, string fingerprint = "f", params string[] models) => new()
    {
        Id = new ReplicaId(name, generation),
        Address = name,
        Models = models.Length == 0 ? ["m"] : models,
        Slots = slots,
        Weight = weight,
        Fingerprints = (models.Length == 0 ? ["m"] : models).ToDictionary(model => model, _ => fingerprint),
    };
}
