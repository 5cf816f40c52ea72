using System.Net;
using Skein.Cli.Settings;
using Skein.Cli.Supervision;
using Skein.Load.Chaos;
using Skein.Load.Chaos.Network;

namespace Skein.Cli.Chaos;

/// <summary>
/// Where packets are to be lost: this process moves, with the gateway and the clients, into a network of its own, and each replica gets another
/// one, all on one cable that this process holds. Other runs stay on loopback.
/// </summary>
internal static class ChaosNetwork
{
    // The mark of a process that has moved already.
    private static readonly Setting<bool> Moved = Setting.Flag("in-own-network", "This process has moved into a network of its own").Hidden();

    public static ISetting Mark => Moved;

    /// <summary>Moves this process where these faults need it: it begins anew there, and this call returns only in its second life.</summary>
    /// <returns>The faults that can happen here.</returns>
    /// <exception cref="UsageException">Faults that were asked for cannot happen here.</exception>
    /// <exception cref="CommandFailedException">It could not move, though a trial could.</exception>
    public static async Task<IReadOnlyList<FaultKind>> EnterAsync(Setting<IReadOnlyList<FaultKind>> faults, SettingSources sources, CancellationToken cancellationToken)
    {
        var kinds = faults.Read(sources);
        if (!kinds.Any(OwnNetwork.IsNeededFor) || Moved.Read(sources))
            return kinds;
        if (await OwnNetwork.WhyNotAsync(cancellationToken) is not { } problem)
        {
            var stayed = OwnNetwork.Enter(ThisProgram.CommandLine([.. Environment.GetCommandLineArgs().Skip(1), Moved.Option.Name, "true"]));
            throw new CommandFailedException(stayed.Message, stayed);
        }
        var why = $"networks of their own cannot be made here: {problem}";
        if (sources.Find(faults) is { } asked)
        {
            var others = string.Join(", ", Enum.GetValues<FaultKind>().Where(kind => !OwnNetwork.IsNeededFor(kind)).Select(ChaosRun.Word));
            throw new UsageException($"{asked.Place} '{asked.Value}' is not possible: {why}; allowed here: {others}");
        }
        await Console.Error.WriteLineAsync($"without {string.Join(" and ", kinds.Where(OwnNetwork.IsNeededFor).Select(ChaosRun.Word))}: {why}");
        return [.. kinds.Where(kind => !OwnNetwork.IsNeededFor(kind))];
    }

    /// <summary>The cable; null where no fault needs one.</summary>
    /// <exception cref="CommandFailedException">The networks cannot be made, though a trial could.</exception>
    public static async Task<Cable?> ConnectAsync(IReadOnlyList<FaultKind> kinds, int members, int seed)
    {
        if (!kinds.Any(OwnNetwork.IsNeededFor))
            return null;
        // A proxy of the network outside cannot be reached, and has nothing to do here.
        HttpClient.DefaultProxy = new WebProxy();
        try
        {
            return await Cable.CreateAsync(members, seed, isFirstHere: true);
        }
        catch (NetworkNotPermittedException error)
        {
            throw new CommandFailedException($"the networks for {members} members could not be made: {error.Message}", error);
        }
    }

    /// <summary>The members in their networks, the first one in that of this process.</summary>
    public static IEnumerable<MemberSpec> Place(IReadOnlyList<MemberSpec> specs, Cable? cable) => cable is null ? specs : specs.Select((spec, host) => spec with
    {
        Arguments = [.. spec.Arguments, "--bind", $"{cable.Hosts[host].Address}", "--insecure"],
        Network = host == 0 ? null : cable.Hosts[host],
    });
}
