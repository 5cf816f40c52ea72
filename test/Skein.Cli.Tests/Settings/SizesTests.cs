using Skein.Cli.Settings;

namespace Skein.Cli.Tests.Settings;

public class SizesTests
{
    [Theory]
    [InlineData("0", 0)]
    [InlineData("65536", 65_536)]
    [InlineData("512KiB", 512L << 10)]
    [InlineData("32MiB", 32L << 20)]
    [InlineData("1GiB", 1L << 30)]
    [InlineData("8388607TiB", 8_388_607L << 40)]
    public void TryParse_ASize_IsRead(string text, long bytes)
    {
        Assert.True(Sizes.TryParse(text, out var read));
        Assert.Equal(bytes, read);
    }

    [Theory]
    [InlineData("")]
    [InlineData("MiB")]
    [InlineData("-1")]
    [InlineData("1.5GiB")]
    [InlineData("1 GiB")]
    [InlineData("1GB")]
    [InlineData("8388608TiB")]
    [InlineData("99999999999999999999")]
    public void TryParse_NoSize_IsRefused(string text) => Assert.False(Sizes.TryParse(text, out _));

    [Theory]
    [InlineData(1, "1")]
    [InlineData(1500, "1500")]
    [InlineData(2048, "2KiB")]
    [InlineData(1L << 40, "1TiB")]
    public void Text_ASize_IsInItsLargestUnit(long bytes, string text) => Assert.Equal(text, Sizes.Text(bytes));
}
