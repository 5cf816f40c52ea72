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
    [InlineData("""[{"role": "user", "content": [{"type": null, "text": "a"}, {"image_url": {}}]}, {"role": "user", "content": "x"}]""")]
    [InlineData("""[{"role": "user", "content": [{"\u0074ype": null}]}, {"role": "user", "content": "x"}]""")]
    [InlineData("""[{"role": "user", "content": 5}, {"role": "user", "content": "x"}]""")]
    [InlineData("""[{"role": "user", "\u0063ontent": 5}, {"role": "user", "content": "x"}]""")]
    [InlineData("""[{"role": "assistant", "refusal": 5}, {"role": "user", "content": "x"}]""")]
    [InlineData("""[{"content": "x"}]""")]
    [InlineData("""[{"role": "user", "content": "x"}""")]
    [InlineData("""{"role": "user"}""")]
    [InlineData("")]
    public void Outline_AnyChat_IsThatOfItsMessages(string json) => AssertSame(ByteString.CopyFromUtf8(json));

    /// <summary>An engine that failed on them would count as lost, and its server as failing.</summary>
    [Theory]
    [InlineData("""[{"role": "user", "content": "x", "\ud800": 1}]""")]
    [InlineData("""[{"role": "user", "content": [{"type": "text", "text": "x", "\ud800ext": 1}]}]""")]
    [InlineData("""[{"role": "user", "content": [{"\ud800": 1}]}]""")]
    public void Read_HalfOfASurrogatePairInAName_IsRefused(string json)
    {
        var messages = ByteString.CopyFromUtf8(json);

        Assert.Equal(ChatJson.Messages, Assert.Throws<ChatJsonException>(() => ChatJson.Read(messages)).Field);
        Assert.Equal(ChatJson.Messages, Assert.Throws<ChatJsonException>(() => ChatJson.Outline(messages)).Field);
    }

    [Fact]
    public void Inspect_HalfOfASurrogatePair_IsRefused()
    {
        Assert.Equal("tool_choice", Assert.Throws<ChatJsonException>(() => ChatJson.RequiresTool(ByteString.CopyFromUtf8("\"\\ud800uto\""))).Field);
        Assert.Equal(
            "response_format", Assert.Throws<ChatJsonException>(() => ChatJson.RequiresFormat(ByteString.CopyFromUtf8("{\"type\":\"\\ud800\"}"))).Field);
    }

    /// <summary>Servers know such parts: an image without a type is no text that is missing.</summary>
    [Fact]
    public void Read_PartWithoutTypeAndText_IsNamedByItsFirstMember() => Assert.Equal(
        ("a", "image_url"),
        ChatJson.Read(ByteString.CopyFromUtf8("""[{"role": "user", "content": [{"type": null, "text": "a"}, {"type": null, "image_url": {}}]}]""")) is [var message]
            ? (message.Text, message.OtherPart)
            : default);

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
