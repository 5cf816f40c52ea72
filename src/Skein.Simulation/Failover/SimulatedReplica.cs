using Skein.Engines;
using Skein.Engines.Simulated;
using Skein.Protocol.V1;

namespace Skein.Simulation.Failover;

/// <summary>A replica that can be killed, frozen, slowed, drained, and whose engine can fail.</summary>
internal sealed class SimulatedReplica(string name, int slots, TimeProvider time)
{
    private ulong _sequence;

    public event Action? Changed;

    public string Name => name;

    public ulong Generation { get; private set; } = 1;

    public bool IsUp { get; private set; } = true;

    public bool IsFrozen { get; private set; }

    public bool IsDraining { get; private set; }

    public TimeSpan Delay { get; private set; }

    public int EngineFailures { get; private set; }

    public int Running { get; set; }

    public bool IsFull => Running >= slots;

    public IInferenceEngine Engine { get; } = SimulatedEngineFactory.Create(
        new SimulatedEngineOptions { Model = FailoverWorld.Model, TokensPerSecond = 50, PrefillTokensPerSecond = 5000, Jitter = 0.3 }, time);

    public ReplicaDescription Description => new()
    {
        Id = new ReplicaId(name, Generation), Address = name, Models = [FailoverWorld.Model], Slots = slots, Draining = IsDraining, HandOver = IsDraining,
    };

    public LoadReport Report() => new()
    {
        Generation = Generation, Sequence = ++_sequence, Slots = (uint)slots, Running = (uint)Running, RunningForCaller = (uint)Running, Draining = IsDraining,
    };

    public void Kill() => Change(() => (IsUp, Running) = (false, 0));

    public void Start() => Change(() => (IsUp, IsDraining, Generation) = (true, false, Generation + 1));

    public void Freeze(bool frozen) => Change(() => IsFrozen = frozen);

    public void Slow(TimeSpan delay) => Change(() => Delay = delay);

    public void Drain(bool draining) => Change(() => IsDraining = draining);

    public void FailEngine() => Change(() => EngineFailures++);

    private void Change(Action change)
    {
        change();
        Changed?.Invoke();
    }
}
