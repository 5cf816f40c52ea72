using System.Text;
using System.Text.Json;
using CsCheck;
using Skein.Protocol;

namespace Skein.Engines.Tests.Requests;

/// <summary>Half of a surrogate pair is found wherever .NET's reader would fail.</summary>
public sealed class SurrogateEscapesTests
{
    [Theory]
    [InlineData("""{"a": "\ud83d\ude00"}""", false)]
    [InlineData("""{"a": "\\ud83d \\\\udc00"}""", false)]
    [InlineData("""{"a": "\n\ud83d\ude00\t\uD83D\uDE00"}""", false)]
    [InlineData("""{"a": "\\\ud83d"}""", true)]
    [InlineData("""{"a": "\ude00\ud83d"}""", true)]
    [InlineData("""{"a": "\ud83dx\ude00"}""", true)]
    [InlineData("""{"a": "\ud83d\ud83d\ude00"}""", true)]
    [InlineData("""{"\uDC00": 1}""", true)]
    public void HoldHalf_Json_IsWhetherAnEscapeIsAlone(string json, bool expected) =>
        Assert.Equal(expected, SurrogateEscapes.HoldHalf(Encoding.UTF8.GetBytes(json)));

    [Fact]
    public void HoldHalf_AnyString_IsWhetherTheReaderFails()
    {
        var pieces = Gen.OneOf("\\\\", "\\n", "\\u0041", "\\ud800", "\\uDBFF", "\\udc00", "\\uDFFF", "\\ud83d\\ude00", "u", "d800", "é", "\\\"");
        pieces.Array[0, 8].Sample(
            texts =>
            {
                var json = $"\"{string.Concat(texts)}\"";
                Assert.Equal(Fails(json), SurrogateEscapes.HoldHalf(Encoding.UTF8.GetBytes(json)));
            },
            iter: 20_000);
    }

    private static bool Fails(string json)
    {
        try
        {
            return JsonElement.Parse(json).GetString() is null;
        }
        catch (InvalidOperationException)
        {
            return true;
        }
    }
}
