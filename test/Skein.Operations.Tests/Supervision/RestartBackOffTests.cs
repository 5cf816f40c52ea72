using System.Globalization;
using Skein.Operations.Supervision;

namespace Skein.Operations.Tests.Supervision;

public class RestartBackOffTests
{
    /// <summary>How long each run was ready, in seconds, and the delay after it.</summary>
    [Theory]
    [InlineData(2, "0 0 0 0 0 0 0", "2 4 8 16 30 30 30")]
    [InlineData(2, "0 0 10 0 0", "2 4 2 2 4")]
    [InlineData(2, "9.9 9.9", "2 4")]
    [InlineData(0.2, "1 1 1", "0.2 0.4 0.8")]
    [InlineData(60, "0 0", "60 60")]
    [InlineData(0, "0 0", "0 0")]
    public void Next_AfterRuns_Waits(double first, string runs, string waits)
    {
        var backOff = new RestartBackOff(TimeSpan.FromSeconds(first));

        var delays = runs.Split(' ').Select(run => backOff.Next(TimeSpan.FromSeconds(double.Parse(run, CultureInfo.InvariantCulture))).TotalSeconds);

        Assert.Equal(waits.Split(' ').Select(wait => double.Parse(wait, CultureInfo.InvariantCulture)), delays.Select(wait => Math.Round(wait, 6)));
    }
}
