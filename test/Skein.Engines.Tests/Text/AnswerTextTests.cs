using System.Text;
using CsCheck;
using Skein.Engines.Text;

namespace Skein.Engines.Tests.Text;

public class AnswerTextTests
{
    private static readonly Gen<string[]> Stops = Gen.String[Gen.Char["aé€"], 1, 4].Array[0, 3];

    // Characters of one to four bytes, and single bytes that break them.
    private static readonly Gen<byte[]> Token = Gen.OneOf(
        Any("a", "é", "€", "🐢", "aaé").Select(Encoding.UTF8.GetBytes),
        Any<byte>(0x61, 0x80, 0xC3, 0xA9, 0xE2, 0xF0, 0x9F, 0xFF).Array[1, 3]);

    [Fact]
    public void Append_HalfCharacter_IsHeldUntilItsLastByte()
    {
        var text = new AnswerText([]);

        Assert.Equal(["a", "", "", "🐢!"], Pieces(text, [.. "a"u8], [0xF0, 0x9F], [0x90], [0xA2, (byte)'!']));
    }

    [Fact]
    public void Append_PartialStop_IsHeldAndReleasedOnceItCannotMatch()
    {
        var text = new AnswerText(["END."]);

        Assert.Equal(["so ", "", "EN", "END!"], Pieces(text, "so E", "N", "EN", "D!"));
        Assert.Null(text.MatchedStop);
    }

    [Fact]
    public void Append_StopAcrossTokens_EndsTheTextBeforeIt()
    {
        var text = new AnswerText(["b€", "zzz"]);

        Assert.Equal(["a", "", "", ""], Pieces(text, [.. "ab"u8], [0xE2], [0x82, 0xAC, (byte)'x'], [.. "y"u8]));
        Assert.Equal("b€", text.MatchedStop);
    }

    [Fact]
    public void Append_StopThatOverlapsItself_IsFound()
    {
        var text = new AnswerText(["aab"]);

        Assert.Equal(["", "a"], Pieces(text, "aa", "ab"));
        Assert.Equal("aab", text.MatchedStop);
    }

    [Theory]
    [InlineData("abc", "abc", "bc", "")]
    [InlineData("abc", "ab", "bcd", "")]
    [InlineData("xabc", "c", "bc", "xa")]
    public void Append_SeveralStops_FirstCompletedThenLongestCounts(string answer, string first, string second, string expected)
    {
        var text = new AnswerText([first, second]);
        text.Append(Encoding.UTF8.GetBytes(answer));

        Assert.Equal(expected, Encoding.UTF8.GetString(text.Take()));
        Assert.Equal(answer == "xabc" ? second : first, text.MatchedStop);
    }

    [Fact]
    public void Flush_HeldBackText_IsReleasedAndHalfCharacterReplaced()
    {
        var text = new AnswerText(["stop"]);
        text.Append("sto"u8);
        text.Append([0xE2, 0x82]);
        Assert.True(text.Take().IsEmpty);

        text.Flush();

        Assert.Equal("sto\uFFFD", Encoding.UTF8.GetString(text.Take()));
        Assert.Null(text.MatchedStop);
    }

    [Fact]
    public void TrySkip_OtherText_IsRefusedWithoutChange()
    {
        var text = new AnswerText([]);
        text.Append("abc"u8);

        Assert.False(text.TrySkip("abx"u8));
        Assert.False(text.TrySkip("abcd"u8));
        Assert.True(text.TrySkip("ab"u8));
        Assert.Equal("c", Encoding.UTF8.GetString(text.Take()));
    }

    [Fact]
    public void Constructor_EmptyStop_Throws() => Assert.Throws<ArgumentException>(() => new AnswerText([""]));

    [Fact]
    public void Append_AnyPortioning_ReleasesTheSameWholeCharacters() =>
        Gen.Select(Token.Array[0, 40], Stops).Sample((tokens, stops) =>
        {
            var whole = new AnswerText(stops);
            whole.Append(tokens.SelectMany(token => token).ToArray());
            whole.Flush();
            var expected = Encoding.UTF8.GetString(whole.Take());

            var portioned = new AnswerText(stops);
            var pieces = Pieces(portioned, tokens);
            portioned.Flush();
            var actual = string.Concat(pieces) + Encoding.UTF8.GetString(portioned.Take());

            Assert.Equal(expected, actual);
            Assert.Equal(whole.MatchedStop, portioned.MatchedStop);
            Assert.Equal(ReferenceText(tokens, stops), (expected, whole.MatchedStop));
        });

    [Fact]
    public void TrySkip_CutAfterAnyToken_GoesOnAtTheSameByte() =>
        Gen.Select(Token.Array[1, 20], Stops).Sample((tokens, stops) =>
        {
            var undisturbed = Pieces(new AnswerText(stops), tokens);
            for (var cut = 0; cut <= tokens.Length; cut++)
            {
                var resumed = new AnswerText(stops);
                foreach (var token in tokens[..cut])
                {
                    resumed.Append(token);
                }

                Assert.True(resumed.TrySkip(Encoding.UTF8.GetBytes(string.Concat(undisturbed[..cut]))));
                Assert.Equal(undisturbed[cut..], Pieces(resumed, tokens[cut..]));
            }
        });

    private static Gen<T> Any<T>(params T[] values) => Gen.Int[0, values.Length - 1].Select(i => values[i]);

    private static string[] Pieces(AnswerText text, params byte[][] tokens)
    {
        var strict = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
        return [.. tokens.Select(token =>
        {
            text.Append(token);
            return strict.GetString(text.Take());
        })];
    }

    private static string[] Pieces(AnswerText text, params string[] tokens) =>
        Pieces(text, [.. tokens.Select(Encoding.UTF8.GetBytes)]);

    // The same rule, the slow way: decode everything, then look at every prefix.
    private static (string Text, string? Stop) ReferenceText(byte[][] tokens, string[] stops)
    {
        var all = Encoding.UTF8.GetString([.. tokens.SelectMany(token => token)]);
        for (var end = 1; end <= all.Length; end++)
        {
            var stop = stops.Where(stop => all[..end].EndsWith(stop, StringComparison.Ordinal)).MaxBy(stop => stop.Length);
            if (stop is not null)
            {
                return (all[..(end - stop.Length)], stop);
            }
        }

        return (all, null);
    }
}
