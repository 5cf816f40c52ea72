using Skein.Simulation.Membership.Scenarios;

namespace Skein.Simulation.Membership;

/// <summary>One experiment.</summary>
/// <param name="Rows">Runs it. A cell is a number or a text.</param>
internal sealed record MembershipScenario(string Name, string Summary, string[] Columns, Func<ScenarioSettings, IEnumerable<object[]>> Rows);

/// <summary>
/// The simulations behind <c>skein simulate membership</c>: production code in virtual time. Equal arguments give equal tables. A violated
/// invariant throws <see cref="InvalidOperationException"/>, whose message contains the seed and the command that repeats it.
/// </summary>
public static class MembershipScenarios
{
    private static readonly Dictionary<string, MembershipScenario> ByName = new MembershipScenario[]
    {
        new("host-lost", "A host vanishes: seconds until the first and the last survivor know (median / max of the runs)",
            ["members", "first dead", "last dead", "first to last", "false deaths", "runs"], Detection.HostLost),
        new("process-killed", "kill -9 on a live host: seconds until the first and the last survivor know (median / max of the runs)",
            ["members", "first dead", "last dead", "first to last", "false deaths", "runs"], Detection.ProcessKilled),
        new("join", "One member joins: seconds until all know it; without and with a tenth of all datagrams lost",
            ["members", "loss", "p50", "p99", "p99.9", "max", "joins"], Join.OneMember),
        new("metadata", "One member changes its metadata: seconds until all know it; without and with a tenth of all datagrams lost",
            ["members", "loss", "p50", "p99", "p99.9", "max", "changes"], Dissemination.MetadataChange),
        new("missed-rumours", "Each informed member sends an update k times: share of members that gossip misses, and seconds until all know;"
            + " memberlist's gossip beside ours",
            ["members", "k", "e^-k %", "memberlist misses %", "p50", "p99.9", "max", "ours misses %", "p50", "p99.9", "max", "changes"],
            Dissemination.MissedRumours),
        new("bootstrap", "All members start at once with one seed: seconds until all views are complete and equal (median / max of the runs)",
            ["members", "seconds", "runs"], Join.Bootstrap),
        new("restart", "A killed process restarts at once under its name: seconds until all see the new generation (median / max of the runs)",
            ["members", "address", "seconds", "runs"], Join.Restart),
        new("partition", "The network splits in two halves: seconds from its repair to equal views (median / max of the runs)",
            ["members", "cut for", "healed after", "runs"], FaultScenarios.Partition),
        new("storm", "Pauses, starved and slow members, lossy and one-way links, partitions, crashes and restarts at random for 120 s:"
            + " seconds from the end of all faults to equal views",
            ["members", "faults", "p50", "p99", "max", "runs"], Storm.Rows),
        new("slow-members", "A quarter of the members neither sends nor receives for D of each D + I, for 120 s, with and without a backlog afterwards:"
            + " false deaths",
            ["members", "profile", "D / I", "us a datagram", "suspicions", "deaths", "at healthy", "of healthy", "worst run", "runs"],
            FaultScenarios.SlowMembers),
        new("loss", "Datagrams are lost (and TCP retransmits) for an hour: false deaths",
            ["members", "loss", "length", "suspicions", "deaths"], FaultScenarios.PacketLoss),
        new("far-apart", "Profile wan, 100 to 250 ms between any two members, ten minutes: false deaths; then a host vanishes: seconds until all know",
            ["members", "loss", "suspicions", "deaths", "last dead"], FaultScenarios.WideArea),
        new("quiet", "An idle group: datagrams and bytes of UDP payload that each member sends per second",
            ["members", "packets/s", "bytes/s"], Cost.Quiet),
        new("load-gossip", "Every member's load changes all the time and is gossiped at 1 Hz: age of the known loads, and cost for a member",
            ["members", "age p50", "age p99", "bytes/s"], Cost.LoadGossip),
        new("beacons", "Replicas send beacons of their load, which changes at random, to gateways: age in ms of the known load, idle and after a change",
            ["replicas", "gateways", "age p50", "age p99", "wrong for at most", "bytes/s a pair"], Cost.BeaconAge),
        new("swim-3a", "SWIM Fig. 3a, plain SWIM: periods from a crash to its first detection; published: e/(e-1) = 1.58 at every size",
            ["members", "ours", "published", "crashes"], Swim.Detection),
        new("swim-2", "SWIM Fig. 2, plain SWIM, idle: messages of a member per period; published: 2.0, below 5 in 99 % at 28 members",
            ["members", "ours", "published", "P(< 5)"], Swim.Messages),
        new("swim-3b", "SWIM Fig. 3b, updates on pings and acks only: periods until a member has one; published: median 1 to 3 up to 56 members,"
            + " then logarithmic",
            ["members", "median", "published", "last member"], Swim.Infection),
        new("swim-4", "SWIM Fig. 4: 17 members, a tenth of the packets lost, a member that is declared dead stops: members left after 175 s",
            ["protocol", "left (mean)", "least", "published", "runs"], Swim.Loss),
        new("lifeguard-4", "Lifeguard Table IV and message load: deaths of healthy members, in all views and in healthy ones, and traffic, in % of SWIM's",
            ["protocol", "deaths", "at healthy", "% of SWIM", "published %", "messages / bytes %"], Lifeguard.FalsePositives),
        new("lifeguard-latency", "Lifeguard, one to a quarter of the members really crash at once: median seconds to the first and the last detection of each",
            ["protocol", "first", "last", "published", "runs"], Lifeguard.Latency),
        new("rapid", "Rapid Fig. 8-10: views of the others while a hundredth of the members is faulty (runs = minutes, 10); published: memberlist oscillates",
            ["fault", "faulty", "deaths of healthy", "most deaths of a faulty one", "most changes", "last death at (s)"], RapidFlipFlop.Rows),
    }.ToDictionary(static scenario => scenario.Name, StringComparer.Ordinal);

    /// <summary>Names and summaries, in the order of the documentation.</summary>
    public static IReadOnlyList<(string Name, string Summary)> All { get; } =
        [.. ByName.Values.Select(static scenario => (scenario.Name, scenario.Summary))];

    /// <param name="name">One of <see cref="All"/>.</param>
    /// <exception cref="ArgumentException">The name or a setting is invalid; the message names the allowed values.</exception>
    public static SimulationTable Run(string name, ScenarioSettings settings)
    {
        if (!ByName.TryGetValue(name, out var scenario))
            throw new ArgumentException($"scenario is '{name}': allowed are {string.Join(", ", ByName.Keys)}");
        if (settings.Problem is { } problem)
            throw new ArgumentException(problem);
        return Run(scenario, settings);
    }

    internal static SimulationTable Run(MembershipScenario scenario, ScenarioSettings settings)
    {
        var command = $"skein simulate membership --scenario {scenario.Name}{settings}";
        try
        {
            string[][] rows = [.. scenario.Rows(settings).Select(static row => Array.ConvertAll(row, Sample.Text))];
            return new SimulationTable($"{scenario.Summary}\n{command}", scenario.Columns, rows);
        }
        catch (InvalidOperationException error)
        {
            throw new InvalidOperationException($"{error.Message}; the same again: {command}", error);
        }
    }
}
