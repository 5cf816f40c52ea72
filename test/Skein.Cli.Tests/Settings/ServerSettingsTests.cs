using Skein.Cli.Members;
using Skein.Engines.OpenAiCompatible;

namespace Skein.Cli.Tests.Settings;

public class ServerSettingsTests
{
    [Theory]
    [InlineData("", 30)]
    [InlineData("--engine-timeout 10s", 30)]
    [InlineData("--engine-timeout 5m", 300)]
    public void Read_AnyEngineTimeout_NoCallEndsBeforeIt(string flags, int seconds) =>
        Assert.Equal(TimeSpan.FromSeconds(seconds), Read(flags).CallTimeout);

    [Fact]
    public void Read_NothingSet_IsWhatTheEngineDoesByItself() =>
        Assert.Equal(new OpenAiEngineOptions { BaseUrl = new Uri("http://127.0.0.1:1") }, Read("") with { ApiKey = null });

    [Fact]
    public void Read_WhatTheServerCannotTell_ReachesTheEngine()
    {
        var options = Read("--engine-kind sglang --engine-fingerprint fleet-7 --engine-chat-call true --engine-silence 20m --bit-exact");

        Assert.Equal(
            ("sglang", "fleet-7", true, TimeSpan.FromMinutes(20), true),
            (options.Kind, options.Fingerprint, options.UsesChatCall, options.SilenceTimeout, options.IsBitExact));
    }

    private static OpenAiEngineOptions Read(string flags) =>
        EngineSettings.ReadServer("--engine", new Uri("http://127.0.0.1:1"), TestSources.Of(EngineSettings.OfServers, flags), slots: null);
}
