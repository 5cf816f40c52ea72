using System.Globalization;
using System.Text.RegularExpressions;

namespace Skein.Load.Measuring;

/// <summary>
/// What a Skein gateway tells of a stream's failovers, in an SSE comment or a gRPC trailer:
/// <c>… failovers=1 attempts=2 [token 17: replica-2 lost (link)]</c>.
/// </summary>
/// <param name="Count">Failovers; 0 where the note tells none.</param>
/// <param name="Indexes">The tokens that came first after them, as far as they are spelled out.</param>
internal sealed partial record FailoverNote(int Count, IReadOnlyList<uint> Indexes)
{
    public const string Trailer = "x-skein-failovers";

    public static readonly FailoverNote None = new(0, []);

    public static FailoverNote Read(string note) =>
        CountPattern().Match(note) is { Success: true } count && int.TryParse(count.Groups["number"].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? new FailoverNote(number, ReadIndexes(note))
            : None;

    private static List<uint> ReadIndexes(string note)
    {
        var indexes = new List<uint>();
        foreach (Match match in IndexPattern().Matches(note))
        {
            if (uint.TryParse(match.Groups["number"].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out var index))
            {
                indexes.Add(index);
            }
        }

        return indexes;
    }

    [GeneratedRegex("failovers=(?<number>[0-9]+)", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex CountPattern();

    [GeneratedRegex("token (?<number>[0-9]+):", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex IndexPattern();
}
