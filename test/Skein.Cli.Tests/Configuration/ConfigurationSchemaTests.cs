using System.Text.Json.Nodes;
using Skein.Cli.Commands;
using Skein.Cli.Configuration;

namespace Skein.Cli.Tests.Configuration;

public sealed class ConfigurationSchemaTests
{
    private static readonly JsonNode Schema = JsonNode.Parse(ConfigurationSchema.Of(GatewayCommand.Settings))!;

    /// <summary>The file that is shipped. To write it again: skein config schema > deploy/skein.schema.json.</summary>
    [Fact]
    public void Of_TheGateway_IsTheShippedFile()
    {
        var shipped = File.ReadAllText(Path.Combine(Root(), "deploy", "skein.schema.json"));

        Assert.Equal(shipped.ReplaceLineEndings("\n").TrimEnd(), ConfigurationSchema.Of(GatewayCommand.Settings).ReplaceLineEndings("\n"));
    }

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

    private static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Skein.slnx")))
            folder = folder.Parent ?? throw new DirectoryNotFoundException("no folder above the tests has Skein.slnx");
        return folder.FullName;
    }
}
