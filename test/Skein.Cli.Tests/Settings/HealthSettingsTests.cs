using Skein.Cli.Members;
using Skein.Routing.Health;

namespace Skein.Cli.Tests.Settings;

public sealed class HealthSettingsTests
{
    [Fact]
    public void Read_NothingSet_IsTheDefault() => Assert.Equal(new HealthOptions(), Read(""));

    [Fact]
    public void Read_EverySetting_ReachesItsOption()
    {
        var options = Read(
            "--breaker-failures 3 --breaker-rate 0.25 --breaker-attempts 7 --breaker-window 20s --breaker-open 2s --breaker-longest-open 30s "
            + "--breaker-trials 4 --breaker-max-ejected 0.75 --slow-start 1m --slow-start-share 0.5");

        Assert.Equal(
            new HealthOptions
            {
                Breaker = new BreakerOptions
                {
                    FailuresInARow = 3, FailureRate = 0.25, FewestAttempts = 7, Window = TimeSpan.FromSeconds(20), OpenFor = TimeSpan.FromSeconds(2),
                    LongestOpen = TimeSpan.FromSeconds(30), TrialsToClose = 4, MaxEjectedShare = 0.75,
                },
                SlowStart = new SlowStartOptions { Duration = TimeSpan.FromMinutes(1), InitialShare = 0.5 },
            },
            options);
        options.Validate();
    }

    [Fact]
    public void Read_OnlyTheFirstOpeningIsLengthened_LaterOnesAreNoShorter() =>
        Assert.Equal(TimeSpan.FromMinutes(3), Read("--breaker-open 3m").Breaker.LongestOpen);

    private static HealthOptions Read(string flags) =>
        HealthSettings.Read(TestSources.Of(HealthSettings.All, flags));
}
