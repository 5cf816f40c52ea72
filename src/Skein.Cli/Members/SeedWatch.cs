using System.Collections.Immutable;
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
                LogChanges(group.Seeds, logged, logger);
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

    private static void LogChanges(ImmutableArray<SeedStatus> seeds, Dictionary<string, string?> logged, ILogger logger)
    {
        foreach (var seed in seeds)
        {
            var wasLogged = logged.TryGetValue(seed.Address, out var before);
            if (seed.Problem is { } problem && problem != before)
                Log.Unreachable(logger, seed.Address, problem);
            else if (seed.Reached && wasLogged && before is not null)
                Log.Reachable(logger, seed.Address);
            logged[seed.Address] = seed.Problem;
        }
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
