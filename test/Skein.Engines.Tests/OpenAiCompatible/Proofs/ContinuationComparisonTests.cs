using System.Text;
using Skein.Engines.OpenAiCompatible.Proofs;

namespace Skein.Engines.Tests.OpenAiCompatible.Proofs;

public class ContinuationComparisonTests
{
    [Theory]
    [InlineData("a b c d e f", 6, "d e", false, "Continues")]
    [InlineData("a b c d e f", 6, "d e f g h", false, "Continues")]
    [InlineData("a b c d e f", 6, "d e f", true, "Continues")]
    [InlineData("a b c d e f", 6, "a b c", false, "Restarts")]
    [InlineData("a b c d e f", 6, " a b c", false, "Restarts")]
    [InlineData("a b c d e f", 6, "\n\na b c d e f", true, "Restarts")]
    [InlineData("a b c d e f", 6, " d e f", false, "Differs")]
    [InlineData("a b c d e f", 6, "x", false, "Differs")]
    [InlineData("a b c d e f", 6, "d", true, "Differs")]
    [InlineData("a b c d e f", 6, "", true, "Differs")]
    [InlineData("la la la la", 6, "la la", false, "Unclear")]
    [InlineData("la la la lo", 6, "la l", false, "Unclear")]
    [InlineData("a b c d e f", 11, "g", false, "Unclear")]
    public void Of_ContinuedText_IsWhatItShows(string answer, int cut, string continued, bool hasEnded, string verdict) =>
        Assert.Equal(verdict, ContinuationComparison.Of(Encoding.UTF8.GetBytes(answer), cut, Encoding.UTF8.GetBytes(continued), hasEnded).ToString());
}
