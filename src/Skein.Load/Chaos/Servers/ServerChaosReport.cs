namespace Skein.Load.Chaos.Servers;

/// <summary>Result of a chaos run on model servers. Immutable.</summary>
/// <param name="Model">Requested model.</param>
/// <param name="DurationSeconds">Time from the first fault's round to the end of the last one.</param>
/// <param name="Faults">Faults by which at least one answer lost its server in the middle, by kind.</param>
/// <param name="FaultsInVain">The other injected faults, by kind: too short, or not in the middle of an answer.</param>
/// <param name="Rows">One per kind of request.</param>
/// <param name="Early">Answers that lost their server before their first token.</param>
/// <param name="EarlyDiffer">Those of them that differ though their tier promises that they do not.</param>
/// <param name="Undisturbed">Answers during the run that did not lose their server.</param>
/// <param name="UndisturbedDiffer">Those of them that differ from their references.</param>
/// <param name="LongestGapMs">The longest gap between two events of each answer that lost its server.</param>
/// <param name="Failures">Why the run is not passed, one line each; empty: it is passed.</param>
/// <param name="Examples">The first answers that ended in an error, or differ although their tier promises that they do not.</param>
public sealed record ServerChaosReport(
    string Model,
    int Seed,
    double DurationSeconds,
    IReadOnlyDictionary<string, int> Faults,
    IReadOnlyDictionary<string, int> FaultsInVain,
    IReadOnlyList<ServerChaosRow> Rows,
    int Early,
    int EarlyDiffer,
    int Undisturbed,
    int UndisturbedDiffer,
    LatencySummary LongestGapMs,
    IReadOnlyList<string> Failures,
    IReadOnlyList<string> Examples)
{
    public int FaultCount => Faults.Values.Sum();

    public bool IsPassed => Failures.Count == 0;
}

/// <summary>How the lost answers of one kind of request came out. Immutable.</summary>
/// <param name="Request">Name of the kind.</param>
/// <param name="Tier">Resume tiers that the answers stated, joined by slashes; empty: the kind is not served.</param>
/// <param name="LostBy">Answers that lost their server in the middle, by the kind of the fault.</param>
/// <param name="Lost">The sum of them, and of answers that ended in an error otherwise.</param>
/// <param name="Equal">Those that came out as the undisturbed answer, token counts included.</param>
/// <param name="Differ">Those that came out otherwise.</param>
/// <param name="Errors">Those that ended in an error.</param>
/// <param name="Remark">What the answers had, or why the kind is not compared; empty: nothing.</param>
public sealed record ServerChaosRow(
    string Request, string Tier, IReadOnlyDictionary<string, int> LostBy, int Lost, int Equal, int Differ, int Errors, string Remark);
