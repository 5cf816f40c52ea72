using System.Net;
using Skein.Load.Chaos;
using Skein.Load.Chaos.Network;
using Skein.Operations.Supervision;

namespace Skein.Operations.Chaos;

/// <summary>
/// Networks for faults that lose packets. This process moves, with the gateway and the clients, into a network of its own; each replica gets another
/// one; a cable in this process connects them. Runs without such faults stay on loopback.
/// </summary>
public static class ChaosNetwork
{
    /// <summary>Restarts this process in a network of its own, with the same command line plus <paramref name="mark"/>.</summary>
    /// <param name="mark">Arguments that tell the restarted process that it has moved.</param>
    /// <param name="cancellationToken">Ends the trial that precedes the move.</param>
    /// <returns>The reason why the move is not possible. Does not return if it is.</returns>
    /// <exception cref="CommandFailedException">The move failed although the trial succeeded.</exception>
    public static async Task<string> EnterAsync(IEnumerable<string> mark, CancellationToken cancellationToken)
    {
        if (await OwnNetwork.WhyNotAsync(cancellationToken) is { } problem)
            return $"network namespaces cannot be created here: {problem}";
        var failure = OwnNetwork.Enter(ThisProgram.CommandLine([.. Environment.GetCommandLineArgs().Skip(1), .. mark]));
        throw new CommandFailedException(failure.Message, failure);
    }

    /// <summary>Creates the cable; returns null if no fault needs one.</summary>
    /// <exception cref="CommandFailedException">The networks could not be created although the trial succeeded.</exception>
    public static async Task<Cable?> ConnectAsync(IReadOnlyList<FaultKind> kinds, int members, int seed)
    {
        if (!kinds.Any(OwnNetwork.IsNeededFor))
            return null;
        // A proxy outside cannot be reached from this network.
        HttpClient.DefaultProxy = new WebProxy();
        try
        {
            return await Cable.CreateAsync(members, seed, isFirstHere: true);
        }
        catch (NetworkNotPermittedException error)
        {
            throw new CommandFailedException($"the networks for {members} members could not be created: {error.Message}", error);
        }
    }

    /// <summary>Assigns each member its network; the first member shares the network of this process.</summary>
    public static IEnumerable<MemberSpec> Place(IReadOnlyList<MemberSpec> specs, Cable? cable) => cable is null ? specs : specs.Select((spec, host) => spec with
    {
        Arguments = [.. spec.Arguments, "--bind", $"{cable.Hosts[host].Address}", "--insecure"],
        Network = host == 0 ? null : cable.Hosts[host],
    });
}
