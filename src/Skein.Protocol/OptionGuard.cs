namespace Skein.Protocol;

/// <summary>Checks of options. Every failure names the option, its value and what is allowed.</summary>
public static class OptionGuard
{
    /// <summary>Requires a condition.</summary>
    /// <param name="value">Its value; a secret is described instead.</param>
    /// <exception cref="ArgumentException">The condition is false.</exception>
    public static void Require(bool isValid, string name, object? value, string allowed)
    {
        if (!isValid)
            throw new ArgumentException(FormattableString.Invariant($"{name} is {value}; allowed: {allowed}"));
    }

    /// <summary>Requires a value between two bounds, both included. NaN fails.</summary>
    /// <exception cref="ArgumentException">The value is outside the bounds.</exception>
    public static void Range<T>(T value, T least, T most, string name)
        where T : IComparable<T> =>
        Require(value.CompareTo(least) >= 0 && value.CompareTo(most) <= 0, name, value, FormattableString.Invariant($"{least} to {most}"));
}
