namespace Skein.Membership;

/// <summary>A member's load as it told it straight to this one. Immutable.</summary>
/// <param name="Generation">Life of the member that told it.</param>
/// <param name="InFlight">Requests it runs.</param>
/// <param name="Queued">Waiters in its line.</param>
/// <param name="Sequence">Rises with every beacon of that life.</param>
/// <param name="ReceivedAt">When it came, as a timestamp of this member's <see cref="TimeProvider"/>.</param>
public sealed record LoadBeacon(ulong Generation, int InFlight, int Queued, long Sequence, long ReceivedAt);
