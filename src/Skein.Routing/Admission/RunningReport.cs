using Skein.Routing.Fleet;

namespace Skein.Routing.Admission;

/// <summary>A replica's load as it told it to all gateways alike: it does not say whose load it is.</summary>
/// <param name="Replica">The life that told it.</param>
/// <param name="Running">Slots in use there, by anyone. Negative is taken for 0.</param>
/// <param name="ReceivedAt">When it came, as a timestamp of the queue's <see cref="TimeProvider"/>.</param>
public readonly record struct RunningReport(Replica Replica, int Running, long ReceivedAt);
