using System.Net;
using Skein.Operations.Supervision;
using Skein.Load.Chaos;
using Skein.Load.Chaos.Network;

namespace Skein.Operations.Chaos;

/// <summary>
/// Where packets are to be lost: this process moves, with the gateway and the clients, into a network of its own, and each replica gets another
/// one, all on one cable that this process holds. Other runs stay on loopback.
/// </summary>
public static class ChaosNetwork
{
    /// <summary>Restarts this process in a network of its own; the same command line plus <paramref name="mark"/> runs there.</summary>
    /// <param name="mark">Arguments that tell the restarted process that it has moved.</param>
    /// <param name="cancellationToken">Ends the trial that precedes the move.</param>
    /// <returns>Only where the move is not possible: the reason.</returns>
    /// <exception cref="CommandFailedException">The move failed although the trial succeeded.</exception>
    public static async Task<string> EnterAsync(IEnumerable<string> mark, CancellationToken cancellationToken)
    {
        if (await OwnNetwork.WhyNotAsync(cancellationToken) is { } problem)
            return $"network namespaces cannot be created here: {problem}";
        var failure = OwnNetwork.Enter(ThisProgram.CommandLine([.. Environment.GetCommandLineArgs().Skip(1), .. mark]));
        throw new CommandFailedException(failure.Message, failure);
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
