using System.Globalization;
using System.Text.Json;
using Skein.EndToEnd.Support;
using Skein.Load.Chaos;
using Skein.Load.Chaos.Network;

namespace Skein.EndToEnd;

/// <summary>Replicas killed, frozen, slowed, drained, restarted and upgraded, and their packets lost, under constant load: clients see no difference.</summary>
public sealed class ChaosTests
{
    [Theory]
    [InlineData("simulated", 100)]
    [InlineData("embedded", 30)]
    public async Task Chaos_EveryKindOfFault_NoStreamIsHarmed(string engine, int defaultSeconds)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs Linux: signals");
        var seconds = Environment.GetEnvironmentVariable("SKEIN_CHAOS_SECONDS") ?? defaultSeconds.ToString(CultureInfo.InvariantCulture);

        // Fewer streams than by default, because all tests share the processors.
        await using var chaos = SkeinProcess.Start("chaos", "--json", "--duration", $"{seconds}s", "--engine", engine, "--streams", "24", "--tokens-per-second", "30");
        var end = await chaos.EndAsync(TimeSpan.FromSeconds(int.Parse(seconds, CultureInfo.InvariantCulture)) + TimeSpan.FromMinutes(4));

        // The run also fails after too few faults or failovers.
        Assert.True(end.ExitCode == 0, $"exit code {end.ExitCode}\n{end.Output}\n{end.Errors}");
        var report = JsonSerializer.Deserialize<ChaosReport>(end.Output, JsonSerializerOptions.Web)!;
        Assert.True(report.IsClean);
        // The skipped faults and their reasons are printed below.
        var problem = await OwnNetwork.WhyNotAsync(TestContext.Current.CancellationToken);
        var possible = Enum.GetValues<FaultKind>().Where(kind => problem is null || !OwnNetwork.IsNeededFor(kind));
        Assert.Equal(possible.Select(ChaosRun.NameOf).Order(StringComparer.Ordinal), report.Faults.Keys.Order(StringComparer.Ordinal));
        TestContext.Current.TestOutputHelper?.WriteLine($"{problem}\n{end.Output}");
    }
}
