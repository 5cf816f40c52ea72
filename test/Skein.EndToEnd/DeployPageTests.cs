using Skein.EndToEnd.Support;

namespace Skein.EndToEnd;

/// <summary>The page that brings a newcomer to a keyed, encrypted, watched, drained and upgraded fleet on three hosts.</summary>
public sealed class DeployPageTests
{
    [Fact]
    public async Task ThreeHosts_CommandsOfThePage_Work()
    {
        var page = await File.ReadAllTextAsync(PageBlock.Repository("docs/deploy.md"), TestContext.Current.CancellationToken);
        var blocks = PageBlock.Of(page);
        Assert.True(blocks.Count >= 8, $"the page has {blocks.Count} blocks of commands");
        await using var hosts = await PageHosts.CreateOrSkipAsync("host-a", "host-b", "host-c");

        var printed = new List<string>();
        foreach (var block in blocks)
            printed.Add(await hosts.RunAsync(block));

        var all = string.Join('\n', printed);
        string[] expected =
        [
            "gateway.json is valid", "2/2 replicas ready", "0 1 2 3", "\"id\":\"counter\"", "skein_replica_slots{", "401", "host-b is drained", "host-b accepts requests again",
            "2 of 2 replicas updated to revision v2",
        ];
        Assert.All(expected, text => Assert.Contains(text, all, StringComparison.Ordinal));
    }
}
