namespace Skein.Membership;

/// <summary>One member's belief about another. The numbers are those of the wire protocol, and the order in which updates override each other.</summary>
public enum MemberState
{
    /// <summary>The update carries no state. Never in a snapshot.</summary>
    None = 0,

    /// <summary>The member answers.</summary>
    Alive = 1,

    /// <summary>Some member found it silent, and it may still refute. It counts as live and keeps its work.</summary>
    Suspect = 2,

    /// <summary>
    /// At least two members found it silent, and it did not refute in time. A flapping or partly isolated member also declares itself dead for a
    /// while, and then is dead in its own snapshots.
    /// </summary>
    Dead = 3,

    /// <summary>The member announced that it leaves. Final for its generation.</summary>
    Left = 4,
}

/// <summary>The evidence for a death.</summary>
public enum DeathCause
{
    /// <summary>The member is not dead.</summary>
    None,

    /// <summary>Its host refused connections: the process does not run. Detection takes milliseconds.</summary>
    Refused,

    /// <summary>It was silent until its suspicion window ended, or declared itself dead. Detection takes seconds.</summary>
    Silent,
}
