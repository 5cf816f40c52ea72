using System.Buffers;

namespace Skein.Protocol;

/// <summary>The rule for names of revisions that are sent to other processes, where they become an argument of a command line.</summary>
public static class RevisionName
{
    /// <summary>The rule, in words.</summary>
    public const string Allowed = "1 to 128 letters, digits and . _ - + : / @, the first a letter or digit";

    private const int MostCharacters = 128;

    private static readonly SearchValues<char> Characters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-+:/@");

    /// <summary>True when <paramref name="revision"/> follows the rule.</summary>
    public static bool IsValid(string revision) =>
        revision is { Length: > 0 and <= MostCharacters } && char.IsAsciiLetterOrDigit(revision[0]) && !revision.AsSpan().ContainsAnyExcept(Characters);
}
