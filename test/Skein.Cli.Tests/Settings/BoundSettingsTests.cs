using Skein.Cli.Members;
using Skein.Gateway;

namespace Skein.Cli.Tests.Settings;

public sealed class BoundSettingsTests
{
    [Fact]
    public void Read_NothingSet_IsTheDefault() => Assert.Equal(new GatewayOptions().Streaming, Read("").Streaming);

    [Fact]
    public void Read_EverySetting_ReachesItsOption()
    {
        var options = Read(
            "--max-sessions 7 --max-body-memory 64MiB --max-journal 2KiB --max-journal-memory 5000 --max-headers 16KiB "
            + "--attempts-without-progress 3 --max-attempts 9 --clamp-max-tokens true");

        Assert.Equal((16 << 10, 64L << 20, true), (options.MaxRequestHeadersBytes, options.Api.MaxBodyMemoryBytes, options.Api.ClampMaxTokens));
        Assert.Equal(
            new GatewayOptions().Streaming with
            {
                MaxSessions = 7, JournalBytes = 2 << 10, AllJournalsBytes = 5000, AttemptsWithoutProgress = 3, MaxAttempts = 9,
            },
            options.Streaming);
        options.Streaming.Validate();
    }

    [Fact]
    public void Read_OneJournalOverAll_NamesBoth()
    {
        var error = Assert.Throws<UsageException>(() => Read("--max-journal 2MiB --max-journal-memory 1MiB"));

        Assert.Equal("--max-journal 2MiB is over --max-journal-memory; allowed: up to 1MiB", error.Message);
    }

    private static GatewayOptions Read(string flags) =>
        BoundSettings.Read(TestSources.Of(BoundSettings.All, flags), new GatewayOptions());
}
