using Skein.Routing.Fleet;

namespace Skein.Routing.Admission;

/// <summary>A replica's beacon, the same for all gateways: it does not say how much of the load each gateway caused.</summary>
/// <param name="Replica">The generation that sent it.</param>
/// <param name="Running">Slots in use there, by any gateway. Negative counts as 0.</param>
/// <param name="ReceivedAt">When it arrived, as a timestamp of the queue's <see cref="TimeProvider"/>.</param>
public readonly record struct RunningReport(Replica Replica, int Running, long ReceivedAt);
