using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Skein.Membership;

namespace Skein.Cli.Members;

/// <summary>Logs how it stands with the seeds, whenever that changes: a member that finds nobody looks healthy from outside.</summary>
internal static partial class SeedWatch
{
    /// <summary>Runs until the membership is disposed.</summary>
    public static async Task FollowAsync(IMembership membership, ILogger logger)
    {
        var told = new Dictionary<string, string?>(StringComparer.Ordinal);
        var group = membership.Current;
        try
        {
            while (true)
            {
                Tell(group.Seeds, told, logger);
                group = await membership.WaitForChangeAsync(group.Version, CancellationToken.None);
            }
        }
        catch (OperationCanceledException)
        {
            // The membership was disposed.
        }
    }

    private static void Tell(ImmutableArray<SeedStatus> seeds, Dictionary<string, string?> told, ILogger logger)
    {
        foreach (var seed in seeds)
        {
            var wasTold = told.TryGetValue(seed.Address, out var before);
            if (seed.Problem is { } problem && problem != before)
                Log.NotReached(logger, seed.Address, problem);
            else if (seed.Reached && wasTold && before is not null)
                Log.Reached(logger, seed.Address);
            told[seed.Address] = seed.Problem;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(4001, LogLevel.Warning, "Seed {Seed} is not reached: {Problem}; it is tried again")]
        public static partial void NotReached(ILogger logger, string seed, string problem);

        [LoggerMessage(4002, LogLevel.Information, "Seed {Seed} is reached now")]
        public static partial void Reached(ILogger logger, string seed);
    }
}
