using System.Text.Json.Nodes;
using Skein.Cli.Commands;
using Skein.Cli.Configuration;

namespace Skein.Cli.Tests.Configuration;

public sealed class ConfigurationSchemaTests
{
    private static readonly JsonNode Schema = JsonNode.Parse(ConfigurationSchema.Of(GatewayCommand.Settings))!;

    [Theory]
    [InlineData("queueLength", "integer")]
    [InlineData("tenantFairness", "boolean")]
    [InlineData("breakerRate", "number")]
    [InlineData("name", "string")]
    public void Of_TheGateway_HasTheTypeOfEachSetting(string key, string type) =>
        Assert.Equal(type, (string?)Schema["properties"]![key]!["type"]);

    [Fact]
    public void Of_TheGateway_HasRangesWordsAndUpstreams()
    {
        var properties = Schema["properties"]!;

        Assert.Equal((0, 1_000_000), ((int)properties["queueLength"]!["minimum"]!, (int)properties["queueLength"]!["maximum"]!));
        Assert.Contains("prefix-affinity", properties["policy"]!["enum"]!.AsArray().Select(word => (string?)word));
        Assert.Equal("url", (string?)properties["upstreams"]!["items"]!["required"]![0]);
        Assert.Contains("without a restart", (string?)properties["queueLength"]!["description"], StringComparison.Ordinal);
        Assert.Contains("needs a restart", (string?)properties["http"]!["description"], StringComparison.Ordinal);
        Assert.Equal(GatewayCommand.Settings.Count(setting => !setting.Option.Hidden) + 2, properties.AsObject().Count);
    }
}
