using System.Globalization;
using System.Text.RegularExpressions;

namespace Skein.Load.Measuring;

/// <summary>
/// A Skein gateway's report of a stream's failovers, from an SSE comment or a gRPC trailer:
/// <c>… failovers=1 attempts=2 [token 17: replica-2 lost (link)]</c>.
/// </summary>
/// <param name="Count">Failovers; 0 if the note reports none.</param>
/// <param name="Indexes">Index of the first token after each failover, as far as the note lists them.</param>
internal sealed partial record FailoverNote(int Count, IReadOnlyList<uint> Indexes)
{
    public const string Trailer = "x-skein-failovers";

    public static readonly FailoverNote None = new(0, []);

    public static FailoverNote Read(string note) =>
        CountPattern().Match(note) is { Success: true } match && Number(match) is { } count and <= int.MaxValue
            ? new FailoverNote((int)count, [.. IndexPattern().Matches(note).Select(Number).OfType<uint>()])
            : None;

    private static uint? Number(Match match) =>
        uint.TryParse(match.Groups["number"].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    [GeneratedRegex("failovers=(?<number>[0-9]+)", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex CountPattern();

    [GeneratedRegex("token (?<number>[0-9]+):", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex IndexPattern();
}
