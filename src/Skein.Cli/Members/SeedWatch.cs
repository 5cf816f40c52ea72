using System.Collections.Immutable;
using System.Net;
using Microsoft.Extensions.Logging;

namespace Skein.Cli.Members;

/// <summary>Logs when a seed becomes unreachable or reachable. Without these messages a member that finds no seed looks healthy.</summary>
internal static partial class SeedWatch
{
    /// <summary>Runs until the membership is disposed. Logs a failure before it throws it.</summary>
    public static async Task FollowAsync(IMembership membership, ILogger logger)
    {
        var logged = new Dictionary<string, string?>(StringComparer.Ordinal);
        var group = membership.Current;
        try
        {
            while (true)
            {
                LogChanges(group.Seeds, logged, membership, logger);
                group = await membership.WaitForChangeAsync(group.Version, CancellationToken.None);
            }
        }
        catch (OperationCanceledException)
        {
            // The membership was disposed.
        }
        catch (Exception failure)
        {
            Log.Failed(logger, failure);
            throw;
        }
    }

    private static void LogChanges(ImmutableArray<SeedStatus> seeds, Dictionary<string, string?> logged, IMembership membership, ILogger logger)
    {
        foreach (var seed in seeds)
        {
            var wasLogged = logged.TryGetValue(seed.Address, out var before);
            if (seed.Problem is { } problem && problem != before)
                Log.Unreachable(logger, seed.Address, problem + HintFor(seed.Address, membership.LocalEndPoint.Address));
            else if (seed.Reached && wasLogged && before is not null)
                Log.Reachable(logger, seed.Address);
            logged[seed.Address] = seed.Problem;
        }
    }

    /// <summary>A member on loopback reaches nobody on another host, which no answer can tell it.</summary>
    internal static string HintFor(string seed, IPAddress listensOn)
    {
        if (!IPAddress.IsLoopback(listensOn))
            return "";
        var hasPort = IPEndPoint.TryParse(seed, out var endPoint);
        var isHere = hasPort ? IPAddress.IsLoopback(endPoint!.Address) : seed.Split(':')[0].Equals("localhost", StringComparison.OrdinalIgnoreCase);
        return isHere ? "" : $"; this member listens on {listensOn} only, which other hosts cannot reach: --bind sets another address";
    }

    private static partial class Log
    {
        [LoggerMessage(4001, LogLevel.Warning, "Seed {Seed} is unreachable: {Problem}; retrying")]
        public static partial void Unreachable(ILogger logger, string seed, string problem);

        [LoggerMessage(4003, LogLevel.Error, "Following the seeds failed")]
        public static partial void Failed(ILogger logger, Exception exception);

        [LoggerMessage(4002, LogLevel.Information, "Seed {Seed} is reachable")]
        public static partial void Reachable(ILogger logger, string seed);
    }
}
