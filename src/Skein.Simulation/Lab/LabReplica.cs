using Skein.Protocol.V1;
using Skein.Serving;

namespace Skein.Simulation.Lab;

/// <summary>A replica: production's slot table in front of a simulated server.</summary>
internal sealed class LabReplica : IDisposable
{
    public const string Model = "simulated";

    private readonly EngineModel _model;
    private readonly TimeProvider _time;
    private readonly double _weight;

    public LabReplica(int index, EngineModel model, double weight, TimeProvider time)
    {
        (Index, _model, _weight, _time) = (index, model, weight, time);
        Name = string.Create(CultureInfo.InvariantCulture, $"replica-{index + 1}");
        Engine = new LabEngine(model, time);
        Slots = NewSlots();
    }

    /// <summary>Raised after its slot table was replaced.</summary>
    public event Action? Restarted;

    public int Index { get; }

    public string Name { get; }

    public ulong Generation { get; private set; } = 1;

    public bool IsUp { get; private set; } = true;

    public bool IsDraining { get; private set; }

    public LabEngine Engine { get; }

    public SlotTable Slots { get; private set; }

    public ReplicaDescription Description => new()
    {
        Id = new ReplicaId(Name, Generation), Address = Name, Models = [Model], Slots = _model.Slots, Weight = _weight, Draining = IsDraining,
        HandOver = false, MetadataVersion = IsDraining ? 2UL : 1UL,
    };

    public LoadReport Report(string gateway) => Slots.Report(gateway);

    public void Kill()
    {
        IsUp = false;
        Engine.Fail();
    }

    public void Restart()
    {
        Generation++;
        IsUp = true;
        Slots.Dispose();
        Slots = NewSlots();
        Restarted?.Invoke();
    }

    public void Drain(bool isDraining)
    {
        IsDraining = isDraining;
        Slots.SetDraining(isDraining);
    }

    public void Dispose()
    {
        Slots.Dispose();
        Engine.Dispose();
    }

    private SlotTable NewSlots()
    {
        var slots = new SlotTable(Generation, _time);
        slots.SetSlots(_model.Slots);
        return slots;
    }
}
