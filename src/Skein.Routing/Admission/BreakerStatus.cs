using Skein.Routing.Fleet;
using Skein.Routing.Health;

namespace Skein.Routing.Admission;

/// <summary>A replica's breaker at one moment.</summary>
/// <param name="Replica">Whose it is.</param>
/// <param name="State">Where it stands.</param>
/// <param name="Ejections">How often it was opened in this life of the replica.</param>
public readonly record struct BreakerStatus(ReplicaId Replica, BreakerState State, long Ejections);
