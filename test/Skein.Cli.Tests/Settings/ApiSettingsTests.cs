using Skein.Cli.Members;
using Skein.Cli.Settings;
using Skein.Gateway;
using Skein.Gateway.Group;
using Skein.Gateway.Upstreams;

namespace Skein.Cli.Tests.Settings;

public sealed class ApiSettingsTests
{
    [Theory]
    [InlineData("--alias big=a,b --alias small=c", "big=a,b small=c")]
    [InlineData("--alias big=a,b,small=c", "big=a,b small=c")]
    [InlineData("--alias gpt-4o=org/model:8b", "gpt-4o=org/model:8b")]
    [InlineData("", "")]
    public void Read_Aliases_HaveTheirModels(string flags, string expected) =>
        Assert.Equal(expected, string.Join(' ', Read(flags).Aliases.Select(alias => $"{alias.Name}={string.Join(',', alias.Models)}")));

    [Theory]
    [InlineData("--alias big", "--alias 'big' is not allowed; allowed: NAME=MODEL")]
    [InlineData("--alias =a", "--alias '=a' is not allowed")]
    [InlineData("--alias big=", "--alias 'big=' is not allowed")]
    [InlineData("--alias big=a,,b", "--alias 'big=a,,b' is not allowed")]
    [InlineData("--pass-through /v1/load_lora_adapter", "--pass-through '/v1/load_lora_adapter' is not allowed; allowed: a path such as /v1/embeddings")]
    [InlineData("--cors-origin chat.example", "--cors-origin 'chat.example' is not allowed; allowed: origins such as https://chat.example, or *")]
    public void Read_WrongValue_NamesItAndWhatIsAllowed(string flags, string message) =>
        Assert.StartsWith(message, Assert.Throws<UsageException>(() => Read(flags)).Message, StringComparison.Ordinal);

    [Fact]
    public void Read_EveryFlag_IsTaken()
    {
        var options = Read("--pass-through /v1/voices --pass-through /x --cors-origin https://a.example,* --header-hold 3s").Api;

        Assert.Equal(["/v1/voices", "/x"], options.PassThrough);
        Assert.Equal(["https://a.example", "*"], options.CorsOrigins);
        Assert.Equal(TimeSpan.FromSeconds(3), options.HeaderHold);
    }

    [Theory]
    [InlineData("big=story", false, false)]
    [InlineData("big=none,story", false, false)]
    [InlineData("big=none", false, true)]
    [InlineData("big=none", true, false)]
    [InlineData("story=none", false, false)]
    public void RefuseDangling_AllModelsAreConfigured_RefusesAnAliasOfNone(string alias, bool joins, bool isRefused)
    {
        var aliases = Read($"--alias {alias}").Aliases;

        var error = Record.Exception(() => ApiSettings.RefuseDangling(aliases, [Upstream("story")], joins));

        Assert.Equal(isRefused, error is UsageException);
        if (error is not null)
            Assert.Equal("--alias big=none is for no model of an upstream; allowed: story", error.Message);
        // A server that lists its models itself may have any.
        ApiSettings.RefuseDangling(aliases, [Upstream("story"), Upstream()], joins);
    }

    [Theory]
    [InlineData("a=b", "a=c", "given twice")]
    [InlineData("a=b", "c=a", "'a', which is an alias too")]
    public void Build_AliasesThatDoNotFitTogether_AreRefused(string first, string second, string problem)
    {
        var options = Read($"--alias {first} --alias {second}");

        Assert.Contains(problem, Assert.Throws<ArgumentException>(() => GatewayApp.Build(options)).Message, StringComparison.Ordinal);
    }

    private static GatewayOptions Read(string flags) => ApiSettings.Read(TestSources.Of(ApiSettings.All, flags), new GatewayOptions());

    private static UpstreamOptions Upstream(params string[] models) =>
        new() { Name = "u", ConnectAsync = _ => throw new InvalidOperationException("not called"), Models = models };
}
