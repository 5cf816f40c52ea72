using Skein.Protocol.V1;

namespace Skein.Replica;

/// <summary>A replica from the inside: what membership, drain and administration need of it. Safe for concurrent calls.</summary>
public interface IReplicaControl
{
    /// <summary>Generations that may run at the same time; 0 until the replica has started.</summary>
    int Slots { get; }

    /// <summary>Whether new work is refused.</summary>
    bool IsDraining { get; }

    /// <summary>Refuses new work with UNAVAILABLE from now on; running streams go on.</summary>
    void Drain();

    /// <summary>Takes new work again.</summary>
    void Undrain();

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
