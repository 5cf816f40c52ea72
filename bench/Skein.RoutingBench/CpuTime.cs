using System.Globalization;

namespace Skein.RoutingBench;

/// <summary>CPU time of one pick for each policy: the least of several rounds.</summary>
internal static class CpuTime
{
    private const int Rounds = 9;
    private static readonly TimeSpan RoundTime = TimeSpan.FromMilliseconds(200);

    public static void Print()
    {
        foreach (var replicas in new[] { 16, 256 })
        {
            foreach (var policy in PickBenchmark.Policies)
            {
                var benchmark = new PickBenchmark { Replicas = replicas, Policy = policy };
                benchmark.Prepare();
                var least = Enumerable.Range(0, Rounds).Min(_ => NanosecondsOf(benchmark));
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{replicas,4} replicas  {policy,-28} {least,8:0} ns"));
            }
        }
    }

    private static double NanosecondsOf(PickBenchmark benchmark)
    {
        var begun = Environment.CpuUsage.TotalTime;
        long picks = 0;
        TimeSpan used;
        do
        {
            for (var i = 0; i < 1000; i++)
                benchmark.Pick();
            picks += 1000;
            used = Environment.CpuUsage.TotalTime - begun;
        }
        while (used < RoundTime);
        return used.TotalNanoseconds / picks;
    }
}
