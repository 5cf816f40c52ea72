namespace Skein.Membership;

/// <summary>Why a received packet was dropped.</summary>
public enum DropCause
{
    /// <summary>The packet was accepted.</summary>
    None,

    /// <summary>Not a packet of this protocol, truncated, or a body that exceeds a limit.</summary>
    Malformed,

    /// <summary>The packet exceeds the length limit.</summary>
    Oversized,

    /// <summary>Another version of the protocol.</summary>
    Version,

    /// <summary>A cluster with another name.</summary>
    Cluster,

    /// <summary>The packet is sealed and this member has no keys, or the other way round.</summary>
    SealMissing,

    /// <summary>The packet is sealed with an unknown key.</summary>
    UnknownKey,

    /// <summary>The packet names a known key but was not sealed with it: forged or damaged.</summary>
    BadTag,

    /// <summary>An authentic packet that was received before, or is too old for this to be known.</summary>
    Replayed,
}
