using System.Globalization;

namespace Skein.Membership;

internal static class Check
{
    public static void Range<T>(string option, T value, T least, T most) where T : IComparable<T>, IFormattable
    {
        if (value.CompareTo(least) < 0 || value.CompareTo(most) > 0)
            throw Refused(string.Create(CultureInfo.InvariantCulture, $"{option} is {value}: allowed are {least} to {most}"));
    }

    public static MembershipException Refused(string message) => new(MembershipError.InvalidOption, message);
}
