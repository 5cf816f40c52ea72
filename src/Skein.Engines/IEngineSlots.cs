namespace Skein.Engines;

/// <summary>What the host of an engine offers to the engine's own background work. Thread-safe.</summary>
public interface IEngineSlots
{
    /// <summary>Takes one slot for a call that generates; disposing it gives it back. Null: none is free now.</summary>
    IDisposable? TryTake();

    /// <summary>Tells the host what <see cref="IInferenceEngine.DescribeAsync"/> answers from now on.</summary>
    void DescriptionChanged(EngineDescription description);
}
