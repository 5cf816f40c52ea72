using System.Globalization;

namespace Skein.Membership;

/// <summary>Why a member cannot start or an operation was refused.</summary>
public enum MembershipError
{
    /// <summary>An option is invalid. The message names it, its value and the allowed values.</summary>
    InvalidOption,

    /// <summary>The gossip port cannot be bound.</summary>
    AddressInUse,

    /// <summary>Another process answers under this member's name.</summary>
    NameTaken,
}

/// <summary>An error of a membership operation. The message is one line for the operator.</summary>
public sealed class MembershipException(MembershipError error, string message, Exception? innerException = null) : Exception(message, innerException)
{
    public MembershipError Error { get; } = error;
}

internal static class Check
{
    public static void Range<T>(string option, T value, T min, T max) where T : IComparable<T>, IFormattable
    {
        if (value.CompareTo(min) < 0 || value.CompareTo(max) > 0)
            throw Invalid(string.Create(CultureInfo.InvariantCulture, $"{option} is {value}: allowed are {min} to {max}"));
    }

    public static MembershipException Invalid(string message) => new(MembershipError.InvalidOption, message);
}
