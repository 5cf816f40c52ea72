namespace Skein.Membership;

/// <summary>What a member believes of another one. The numbers are those of the wire, and the order in which claims override each other.</summary>
public enum MemberState
{
    /// <summary>Nothing is said; never in a snapshot.</summary>
    None = 0,

    /// <summary>It answers.</summary>
    Alive = 1,

    /// <summary>Somebody found it silent; it may still refute. Counts as live: work goes on.</summary>
    Suspect = 2,

    /// <summary>
    /// Two members at least found it silent, and it did not refute in time; or it died too often, or found itself half cut off, and waits: so
    /// it shows itself in its own snapshots.
    /// </summary>
    Dead = 3,

    /// <summary>It said goodbye. Final for this generation.</summary>
    Left = 4,
}
