using System.Text.Json;
using Skein.Load.Chaos.Servers;

namespace Skein.Load.Tests.Chaos;

public class AnswerPartsTests
{
    private const string Whole = """
        {"choices":[{"index":0,"message":{"content":"ab","reasoning":"cd","tool_calls":[{"id":"x","function":{"name":"f","arguments":"{\"a\":1}"}}]},
        "logprobs":{"content":[{"token":"a","logprob":-0.5}]},"token_ids":[5,6],
        "finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"prompt_tokens_details":{"cached_tokens":0},
        "completion_tokens_details":{"reasoning_tokens":1}}}
        """;

    /// <summary>The same answer in other pieces, with another id of its call, more tokens from the cache, and the reasoning under both of its names.</summary>
    private static readonly string[] Pieces =
    [
        """{"choices":[{"index":0,"delta":{"role":"assistant","reasoning_content":"c","reasoning":"c"},"finish_reason":null}]}""",
        """{"choices":[{"index":0,"delta":{"reasoning_content":"d"},"logprobs":{"content":[{"token":"a","logprob":-0.5}]},"token_ids":[5]}]}""",
        """{"choices":[{"index":0,"delta":{"content":"a","tool_calls":[{"index":0,"id":"y","function":{"name":"f","arguments":"{\"a\""}}]}}]}""",
        """{"choices":[{"index":0,"delta":{"content":"b","tool_calls":[{"index":0,"function":{"arguments":":1}"}}]},"token_ids":[6],"finish_reason":"stop"}]}""",
        """
        {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"completion_tokens_details":{"reasoning_tokens":1},
        "prompt_tokens_details":{"cached_tokens":1}}}
        """,
    ];

    [Fact]
    public void DifferenceFrom_SameAnswerInOtherPieces_IsNone()
    {
        var streamed = Read(Pieces);

        Assert.Null(streamed.DifferenceFrom(Read(Whole)));
        Assert.True(streamed is { IsFinished: true, HasReasoning: true, HasCalls: true, Error: null });
        Assert.Equal("ab", streamed.Text);
    }

    [Theory]
    [InlineData("\"ab\"", "\"aX\"", "choice 0 content differs at character 1 of 2: expected \"b\", got \"X\"")]
    [InlineData("\"cd\"", "\"c\"", "choice 0 reasoning differs at character 1 of 2: expected \"d\", got \"\"")]
    [InlineData("\"f\"", "\"g\"", "choice 0 call 0 name differs at character 0 of 1")]
    [InlineData("-0.5", "-0.25", "choice 0 logprobs content differs at character")]
    [InlineData("\"stop\"", "\"length\"", "choice 0 finish_reason differs at character 0 of 4")]
    [InlineData("\"completion_tokens\":2", "\"completion_tokens\":1", "usage differs at character")]
    [InlineData("\"reasoning_tokens\":1", "\"reasoning_tokens\":2", "usage differs at character")]
    [InlineData("{\"cached_tokens\":0}", "{}", "usage differs at character")]
    [InlineData("[5,6]", "[5]", "choice 0 token_ids differs at character 2 of 4")]
    public void DifferenceFrom_OtherAnswer_NamesThePart(string part, string other, string difference) =>
        Assert.StartsWith(difference, Read(Whole.Replace(part, other, StringComparison.Ordinal)).DifferenceFrom(Read(Whole)), StringComparison.Ordinal);

    [Theory]
    [InlineData("""{"error":{"message":"lost\nall","code":500}}""", "lost all")]
    [InlineData("""{"error":"Unauthorized"}""", "Unauthorized")]
    [InlineData("""{"error":null,"choices":[]}""", null)]
    public void Add_Error_IsOneLine(string json, string? error) => Assert.Equal(error, Read(json).Error);

    private static AnswerParts Read(params string[] chunks)
    {
        var parts = new AnswerParts();
        foreach (var chunk in chunks)
            parts.Add(JsonElement.Parse(chunk));
        return parts;
    }
}
