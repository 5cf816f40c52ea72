namespace Skein.Routing;

/// <summary>What every options record says when a value is out of its range.</summary>
internal static class OptionCheck
{
    /// <exception cref="ArgumentException">Names the option, its value and what is allowed.</exception>
    public static void Require(bool holds, string option, object value, string allowed)
    {
        if (!holds)
            throw new ArgumentException(FormattableString.Invariant($"{option} {value} is out of range; allowed: {allowed}"));
    }
}
