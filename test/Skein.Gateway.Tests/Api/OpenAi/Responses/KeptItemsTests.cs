using Skein.Gateway.Api.OpenAi.Responses;

namespace Skein.Gateway.Tests.Api.OpenAi.Responses;

public sealed class KeptItemsTests
{
    [Fact]
    public void Keep_PastTheBound_DropsTheOldest()
    {
        var kept = new KeptItems(4_000);

        foreach (var id in new[] { "a", "b", "c" })
            kept.Keep(id, new byte[1_500]);

        Assert.Null(kept.Find("a"));
        Assert.Equal([1_500, 1_500], new[] { "b", "c" }.Select(id => kept.Find(id)!.Length));
    }

    [Fact]
    public void Keep_MoreThanAll_KeepsTheOthers()
    {
        var kept = new KeptItems(4_000);
        kept.Keep("a", new byte[100]);

        kept.Keep("b", new byte[4_000]);

        Assert.Null(kept.Find("b"));
        Assert.NotNull(kept.Find("a"));
    }
}
