namespace Skein.Gateway.Tests;

public sealed class SystemRandomSourceTests
{
    [Fact]
    public async Task EveryDraw_OfSeveralThreads_IsAnother()
    {
        const int DrawsOfThread = 2_000; // more than fit in one block
        var source = new SystemRandomSource();
        var draws = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => Enumerable.Range(0, DrawsOfThread)
            .SelectMany(_ => new[] { $"{source.NextUInt64():x16}", SystemRandomSource.NextHexId() }).ToList())));

        var all = draws.SelectMany(draw => draw).ToList();
        Assert.Equal(4 * 2 * DrawsOfThread, all.Distinct().Count());
        Assert.All(all.Where(text => text.Length != 16), text => Assert.Matches("^[0-9a-f]{32}$", text));
    }
}
