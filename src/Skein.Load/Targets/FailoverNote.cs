using System.Globalization;

namespace Skein.Load.Targets;

/// <summary>Reads what a Skein gateway tells of a stream's failovers, in an SSE comment or a gRPC trailer: <c>… failovers=2 attempts=3 …</c>.</summary>
internal static class FailoverNote
{
    public const string Trailer = "x-skein-failovers";

    private const string Key = "failovers=";

    /// <summary>The number of failovers; 0 where the note tells none.</summary>
    public static int Read(ReadOnlySpan<char> note)
    {
        var at = note.IndexOf(Key, StringComparison.Ordinal);
        if (at < 0)
        {
            return 0;
        }

        var digits = note[(at + Key.Length)..];
        var end = digits.IndexOfAnyExceptInRange('0', '9');
        return int.TryParse(end < 0 ? digits : digits[..end], NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? count : 0;
    }
}
