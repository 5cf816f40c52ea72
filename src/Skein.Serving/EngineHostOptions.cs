namespace Skein.Serving;

/// <summary>Settings of an <see cref="EngineHost"/>. Immutable.</summary>
public record EngineHostOptions
{
    /// <summary>Name of the engine in log lines, beside its kind. Null (the default): its kind alone, where a process has one engine.</summary>
    public string? Name { get; init; }

    /// <summary>Concurrent generations, 1 to 100,000. Null (the default): the engine's own number, else a number that begins at 64 and adapts.</summary>
    public int? Slots { get; init; }

    /// <summary>Generation of the replica's name until <see cref="IReplicaControl.SetGeneration"/> raises it. Null: the start in Unix milliseconds.</summary>
    public ulong? Generation { get; init; }

    /// <summary>A standby attempt that is not continued within this time is dropped. 1 second to 1 hour; default 30 s.</summary>
    public TimeSpan StandbyTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// An engine that sends no frame on any stream and answers no liveness check for this long counts as frozen. 300 ms to 1 hour; default 2 s. The first
    /// check follows the last token after one to two thirds of this time.
    /// </summary>
    public TimeSpan EngineTimeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <exception cref="ArgumentException">A setting is out of its range; the message names it, its value and what is allowed.</exception>
    internal virtual void Validate()
    {
        OptionGuard.Range(Slots ?? 1, 1, 100_000, nameof(Slots));
        OptionGuard.Range(StandbyTimeout, TimeSpan.FromSeconds(1), TimeSpan.FromHours(1), nameof(StandbyTimeout));
        OptionGuard.Range(EngineTimeout, TimeSpan.FromMilliseconds(300), TimeSpan.FromHours(1), nameof(EngineTimeout));
    }
}
