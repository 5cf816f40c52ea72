using Xunit.Sdk;
using Xunit.v3;

// Each collection runs a cluster of processes, which wait for each other half of the time.
[assembly: Parallelization(MaxThreads = 3)]
[assembly: TestCollectionOrderer(typeof(Skein.EndToEnd.LongestFirstOrderer))]

namespace Skein.EndToEnd;

/// <summary>Starts the longest test classes first, so that none of them runs alone at the end while a processor is idle.</summary>
public sealed class LongestFirstOrderer : ITestCollectionOrderer
{
    private static readonly string[] Longest = [nameof(ChaosTests), nameof(RolloutTests), nameof(HalfOpenTests)];

    public IReadOnlyCollection<TTestCollection> OrderTestCollections<TTestCollection>(IReadOnlyCollection<TTestCollection> testCollections)
        where TTestCollection : ITestCollection =>
        [.. testCollections.OrderBy(RankOf).ThenBy(collection => collection.TestCollectionDisplayName, StringComparer.Ordinal)];

    private static int RankOf<TTestCollection>(TTestCollection collection)
        where TTestCollection : ITestCollection
    {
        var rank = Array.FindIndex(Longest, name => collection.TestCollectionDisplayName.Contains(name, StringComparison.Ordinal));
        return rank < 0 ? Longest.Length : rank;
    }
}
