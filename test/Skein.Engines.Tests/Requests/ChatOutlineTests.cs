using Google.Protobuf;
using Skein.Protocol;

namespace Skein.Engines.Tests.Requests;

/// <summary>The outline of a chat says the same as its messages, and refuses the same chats with the same words.</summary>
public sealed class ChatOutlineTests
{
    [Theory]
    [InlineData("""[]""")]
    [InlineData("""[{"role": "user", "content": "x"}]""")]
    [InlineData("""[{"role": "user", "content": "x"}, {"role": "assistant", "content": "begun \u00e9 \n"}]""")]
    [InlineData("""[{"role": "assistant", "content": "y"}, {"role": "user", "content": "x"}]""")]
    [InlineData("""[{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {}}]}, {"role": "assistant", "content": null}]""")]
    [InlineData("""[{"role": "assistant", "content": [{"type": "text", "text": "a"}, {"text": "b"}], "tool_calls": [{"id": "1"}]}]""")]
    [InlineData("""[{"role": "assistant", "refusal": "no"}]""")]
    [InlineData("""[{"role": "user", "content": "half \ud800"}, {"role": "user", "content": "x"}]""")]
    [InlineData("""[{"role": "user", "content": "whole \ud83d\ude00"}, {"role": "user", "content": "x"}]""")]
    [InlineData("""[{"role": "user", "content": [{"type": "text", "text": "\udc00"}]}, {"role": "user", "content": "x"}]""")]
    [InlineData("""[{"role": "user", "content": [{"type": "text"}]}, {"role": "user", "content": "x"}]""")]
    [InlineData("""[{"role": "user", "content": [{"type": 5}]}, {"role": "user", "content": "x"}]""")]
    [InlineData("""[{"role": "user", "content": 5}, {"role": "user", "content": "x"}]""")]
    [InlineData("""[{"role": "user", "\u0063ontent": 5}, {"role": "user", "content": "x"}]""")]
    [InlineData("""[{"role": "assistant", "refusal": 5}, {"role": "user", "content": "x"}]""")]
    [InlineData("""[{"content": "x"}]""")]
    [InlineData("""[{"role": "user", "content": "x"}""")]
    [InlineData("""{"role": "user"}""")]
    [InlineData("")]
    public void Outline_AnyChat_IsThatOfItsMessages(string json) => AssertSame(ByteString.CopyFromUtf8(json));

    [Fact]
    public void Outline_BytesThatAreNotUtf8_AreRefusedAsByRead() =>
        AssertSame(ByteString.CopyFrom([.. "[{\"role\": \"user\", \"content\": \""u8, 0xFF, .. "\"}, {\"role\": \"user\", \"content\": \"x\"}]"u8]));

    private static void AssertSame(ByteString json) => Assert.Equal(
        Try(() => ChatJson.Read(json) is var messages
            ? new ChatOutline(messages.Any(message => message.OtherPart is not null), messages is [.., { Role: "assistant" } last] ? last : null)
            : null),
        Try(() => ChatJson.Outline(json)));

    private static (ChatOutline? Outline, ChatJsonProblem? Problem, string? Error) Try(Func<ChatOutline?> read)
    {
        try
        {
            return (read(), null, null);
        }
        catch (ChatJsonException error)
        {
            return (null, error.Problem, error.Message);
        }
    }
}
