using Skein.Membership.Core;

namespace Skein.Membership.Tests.Core;

public sealed class SuspicionTests
{
    /// <summary>The published values of Lifeguard's formula: the rest of the window for k = 3, 2 s to 30 s.</summary>
    [Theory]
    [InlineData(0, 0, 30_000)]
    [InlineData(1, 2, 14_000)]
    [InlineData(2, 3, 4_810)]
    [InlineData(3, 4, -2_000)]
    [InlineData(4, 4, -2_000)]
    public void Window_Confirmations_LeavesGoldenValue(int confirmations, int elapsedSeconds, int leftMs)
    {
        var window = Suspicion.Window(TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(30), confirmations, expected: 3);

        var left = (window - TimeSpan.FromSeconds(elapsedSeconds)).TotalMilliseconds;
        Assert.InRange(left, leftMs - 5, leftMs + 5);
    }

    [Fact]
    public void Window_NobodyCouldConfirm_IsTheShortest() =>
        Assert.Equal(TimeSpan.FromSeconds(2), Suspicion.Window(TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(30), 0, expected: 0));
}
