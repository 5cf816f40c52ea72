namespace Skein.Membership;

/// <summary>Why a member cannot start.</summary>
public enum MembershipError
{
    /// <summary>The gossip port cannot be bound.</summary>
    AddressInUse,

    /// <summary>Another process answers under this member's name.</summary>
    NameTaken,
}

/// <summary>A member cannot start. The message is one line for the operator.</summary>
public sealed class MembershipException(MembershipError error, string message, Exception? innerException = null) : Exception(message, innerException)
{
    public MembershipError Error { get; } = error;
}
