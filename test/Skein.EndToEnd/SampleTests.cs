using Skein.EndToEnd.Support;

namespace Skein.EndToEnd;

/// <summary>Runs the samples as their documentation does.</summary>
public sealed class SampleTests
{
    /// <summary>Two of three answers fill the first replica, which has two slots; the default policy would have used all three replicas.</summary>
    [Fact]
    public async Task CustomPolicy_ThreeAnswersAtOnce_FillsTheFirstReplicaFirst()
    {
        await using var sample = SkeinProcess.StartProgram("CustomPolicy", environment: null);

        var run = await sample.EndAsync(Until.StartTimeout);

        Assert.Equal((0, "fill-first: first, first, second", ""), (run.ExitCode, run.Output, run.Errors));
    }

    [Fact]
    public async Task CustomEngine_ReplicaIsRemovedInMidAnswer_TheOtherContinues()
    {
        await using var sample = SkeinProcess.StartProgram("CustomEngine", environment: null);

        var run = await sample.EndAsync(Until.StartTimeout);

        Assert.Equal((0, ""), (run.ExitCode, run.Errors));
        Assert.StartsWith(string.Join(' ', Enumerable.Range(1, 30)) + " (began on ", run.Output, StringComparison.Ordinal);
        Assert.EndsWith("continued elsewhere: True)", run.Output, StringComparison.Ordinal);
    }
}
