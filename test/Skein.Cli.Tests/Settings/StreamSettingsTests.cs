using Skein.Cli.Members;
using Skein.Routing.Streaming;

namespace Skein.Cli.Tests.Settings;

public class StreamSettingsTests
{
    [Fact]
    public void Read_NothingSet_IsTheDefault()
    {
        var options = Read("");

        Assert.Empty(options.HedgedModels);
        Assert.Equal(new StreamingOptions(), options with { HedgedModels = new StreamingOptions().HedgedModels });
    }

    [Fact]
    public void Read_Everything_ReachesTheOptions()
    {
        var options = Read(
            "--hedge a,b --hedge-share 0.1 --max-replay 3s --link-stall 2s --first-token-stall 30s --engine-stall 7s --retry-share 0.4 "
            + "--retry-request-share 0.3 --straggler-factor 0");

        Assert.Equal(["a", "b"], options.HedgedModels.Order(StringComparer.Ordinal));
        Assert.Equal(
            (false, 0.1, 0.4, 0.3, 0),
            (options.HedgeAll, options.HedgeShare, options.RetryShare, options.RetryRequestShare, options.StragglerFactor));
        Assert.Equal([3, 2, 30, 7], new[] { options.MaxReplay, options.LinkSilence, options.FirstTokenSilence, options.EngineSilence }.Select(time => time.TotalSeconds));
    }

    [Fact]
    public void Read_LeastAndMost_AreWhatTheGatewayAllows()
    {
        Read("--hedge-share 0 --max-replay 0s --link-stall 300ms --first-token-stall 1s --engine-stall 1s --retry-share 0 --straggler-factor 1").Validate();
        Read("--hedge-share 1 --max-replay 10m --link-stall 1m --first-token-stall 1h --engine-stall 1h --retry-share 1 --straggler-factor 1000").Validate();
    }

    private static StreamingOptions Read(string flags) =>
        StreamSettings.Read(TestSources.Of(StreamSettings.All, flags));
}
