using Skein.Protocol.V1;

namespace Skein.Serving;

/// <summary>A replica from the inside: what membership, drain and administration need of it. Safe for concurrent calls.</summary>
public interface IReplicaControl
{
    /// <summary>Generations that may run at the same time; 0 until the replica has started.</summary>
    int Slots { get; }

    /// <summary>Whether new work is refused.</summary>
    bool IsDraining { get; }

    /// <summary>
    /// How long streams may still go on here before gateways should move them elsewhere: 0 once the grace is over, null while not draining.
    /// </summary>
    TimeSpan? GraceLeft { get; }

    /// <summary>Raised after a drain began, its grace got shorter or ended, or it was taken back; on any thread. Handlers return at once.</summary>
    event Action? DrainChanged;

    /// <summary>Refuses new work with UNAVAILABLE from now on; running streams go on.</summary>
    /// <param name="grace">See <see cref="GraceLeft"/>; default 0. While draining, it can only shorten what is left.</param>
    /// <returns>False when it was draining already.</returns>
    bool Drain(TimeSpan grace = default);

    /// <summary>Takes new work again.</summary>
    /// <returns>False when it was not draining.</returns>
    bool Undrain();

    /// <summary>
    /// Completes when no slot is in use. Without <see cref="Drain"/> one may be taken again at once. Last frames may still be on their way:
    /// a graceful stop lets them arrive.
    /// </summary>
    Task WhenIdleAsync(CancellationToken cancellationToken);

    /// <summary>The life of the replica's name that load reports carry. Never goes down: a lower value changes nothing.</summary>
    void SetGeneration(ulong generation);

    /// <summary>The load now. Each report has a higher sequence than those made before it.</summary>
    /// <param name="caller">Whose own load is told; empty: nobody's.</param>
    LoadReport Report(string caller = "");
}
