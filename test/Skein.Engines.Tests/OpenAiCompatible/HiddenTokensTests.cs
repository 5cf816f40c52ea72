using Skein.Engines.OpenAiCompatible.Tokens;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>An answer that passed its end token: the server hides it in the answer, and shows it in the text of ids.</summary>
public class HiddenTokensTests
{
    private static readonly string[] Words = ["One ", "two ", "</s>", "three ", "<eot>", "four"];

    [Theory]
    [InlineData(new uint[] { 0, 1, 2, 3 }, "One two three ")]
    [InlineData(new uint[] { 2, 0, 2, 2, 1, 4, 5 }, "One two four")]
    [InlineData(new uint[] { 0, 2, 1, 3, 4 }, "One two ")]
    [InlineData(new uint[] { 0, 1 }, "One two ")]
    public async Task WithoutAsync_EndTokens_LeavesWhatWasDelivered(uint[] ids, string delivered)
    {
        var asked = 0;

        var text = await new HiddenTokens(Ask).WithoutAsync(ids, await Ask(ids), delivered);

        Assert.StartsWith(delivered, text, StringComparison.Ordinal);
        Assert.True(asked < 12, $"{asked} questions");

        ValueTask<string> Ask(IReadOnlyList<uint> some)
        {
            asked++;
            return ValueTask.FromResult(string.Concat(some.Select(id => Words[id])));
        }
    }

    [Fact]
    public async Task WithoutAsync_AnotherText_StaysAsItIs()
    {
        uint[] ids = [0, 1, 3];

        Assert.Equal("One two three ", await new HiddenTokens(some => ValueTask.FromResult(string.Concat(some.Select(id => Words[id]))))
            .WithoutAsync(ids, "One two three ", "Something else"));
    }
}
