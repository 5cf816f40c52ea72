namespace Skein.Membership;

/// <summary>Why a member could not start.</summary>
public enum MembershipError
{
    /// <summary>An option is wrong; the message names it, its value and what is allowed.</summary>
    InvalidOption,

    /// <summary>The gossip port cannot be bound.</summary>
    AddressInUse,

    /// <summary>Another process answers under this member's name.</summary>
    NameTaken,
}

/// <summary>A member's refusal to start; the message is one line, meant for the operator.</summary>
public sealed class MembershipException : Exception
{
    /// <summary>Creates the exception.</summary>
    public MembershipException(MembershipError error, string message, Exception? innerException = null)
        : base(message, innerException) => Error = error;

    /// <summary>What kind of refusal it is.</summary>
    public MembershipError Error { get; }
}
