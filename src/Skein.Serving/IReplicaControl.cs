namespace Skein.Serving;

/// <summary>Controls a replica from its own process: used by membership, drain and administration. Thread-safe.</summary>
public interface IReplicaControl
{
    /// <summary>
    /// Concurrent generations; 0 until the replica has started, and while other processes have all slots. Changes while it runs if the engine does not report
    /// its own limit, or is shared.
    /// </summary>
    int Slots { get; }

    /// <summary>Slots of the engine, of which <see cref="Slots"/> are this process's share.</summary>
    int EngineSlots => Slots;

    /// <summary>Whether new work is refused.</summary>
    bool IsDraining { get; }

    /// <summary>
    /// How long streams may continue here before gateways should hand them over: 0 once the grace is over, null while not draining.
    /// </summary>
    TimeSpan? GraceLeft { get; }

    /// <summary>Raised on any thread after a drain began, its grace was shortened or ended, or the drain was undone. Handlers must return at once.</summary>
    event Action? DrainChanged;

    /// <summary>Raised on any thread after <see cref="Slots"/> changed. Handlers must return at once. By default the number never changes.</summary>
    event Action? SlotsChanged
    {
        add { }
        remove { }
    }

    /// <summary>
    /// Several gateways use the same engine: each has an equal share of its slots; the first ones have the rest, and where the engine has fewer slots than
    /// gateways the last ones have none. By default nothing changes.
    /// </summary>
    /// <param name="count">Gateways, this one included.</param>
    /// <param name="rank">Number of this one among them, from 0.</param>
    void SetShare(int count, int rank)
    {
    }

    /// <summary>Refuses new work from now on; running streams continue.</summary>
    /// <param name="grace">See <see cref="GraceLeft"/>; default 0. During a drain, a second call can only shorten the remaining grace.</param>
    /// <returns>False when it was draining already.</returns>
    bool Drain(TimeSpan grace = default);

    /// <summary>Accepts new work again.</summary>
    /// <returns>False when it was not draining.</returns>
    bool Undrain();

    /// <summary>
    /// Completes when no slot is in use. Without <see cref="Drain"/> one may be taken again at once. The last frames may still be in flight; a graceful stop
    /// waits for them.
    /// </summary>
    Task WhenIdleAsync(CancellationToken cancellationToken);

    /// <summary>Sets the generation of the replica's name that load reports carry. A lower value is ignored.</summary>
    void SetGeneration(ulong generation);

    /// <summary>The load now. Each report has a higher sequence than the ones before it.</summary>
    LoadReport Report();

    /// <summary>The drain as <c>admin.proto</c> defines it.</summary>
    /// <param name="changed">Whether the request that is answered changed it.</param>
    DrainStatus ReportDrain(bool changed) => new()
    {
        Load = Report(),
        GraceLeftMs = (uint)Math.Ceiling((GraceLeft ?? TimeSpan.Zero).TotalMilliseconds),
        Changed = changed,
    };
}
