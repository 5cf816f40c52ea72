namespace Skein.Membership;

/// <summary>Why a received packet was dropped before it could change anything.</summary>
public enum DropCause
{
    /// <summary>It was not dropped.</summary>
    None,

    /// <summary>Not a packet of this protocol, cut short, or a body that breaks a limit.</summary>
    Malformed,

    /// <summary>Longer than a packet may be.</summary>
    Oversized,

    /// <summary>Another version of the protocol.</summary>
    Version,

    /// <summary>Of a cluster with another name.</summary>
    Cluster,

    /// <summary>Sealed where this member has no keys, or clear where it has some.</summary>
    SealMissing,

    /// <summary>Sealed with a key that this member does not have.</summary>
    UnknownKey,

    /// <summary>Claims a key of this cluster, and was not sealed with it: forged, or damaged on its way.</summary>
    BadTag,

    /// <summary>A genuine datagram that came before, or is far too old.</summary>
    Replayed,
}
