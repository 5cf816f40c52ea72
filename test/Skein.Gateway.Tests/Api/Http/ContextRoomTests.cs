using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Tests.Api.Http;

public sealed class ContextRoomTests
{
    [Theory]
    [InlineData("This model's maximum context length is 8192 tokens. However, you requested 32010 tokens (10 in the messages, 32000 in the completion).", 8182)]
    [InlineData("'max_tokens' is too large: 32000. This model's maximum context length is 8192 tokens and your request has 10 input tokens (32000 > 8192 - 10).", 8182)]
    [InlineData("Requested token count exceeds the model's maximum context length of 8192 tokens. You requested a total of 32010 tokens: 10 tokens from the input "
        + "messages and 32000 tokens for the completion.", 8182)]
    [InlineData("the model's context holds 2048 tokens; asked for: a prompt of 48 and max_tokens 32000", 2000)]
    public void Left_MessagesOfEngines_TellIt(string message, uint left) => Assert.Equal(left, ContextRoom.Left(message, 32_000));

    [Theory]
    [InlineData("the context is full")]
    [InlineData("maximum context length is 4096 tokens")]
    [InlineData("1 2 3 4 5 6 7")]
    [InlineData("99999999999999999999999 tokens")]
    [InlineData("")]
    [InlineData("the context has 64000 tokens and the prompt 10")] // both fit: that was not the reason
    public void Left_MessagesThatDoNotTell_IsUnknown(string message) => Assert.Null(ContextRoom.Left(message, 32_000));

    /// <summary>Which number is which is not told: the second call is then refused as the first was.</summary>
    [Fact]
    public void Left_PromptIsTooLongByItself_IsTakenForTheContext() =>
        Assert.Equal(808u, ContextRoom.Left("the prompt has 9000 tokens; the context has 8192", 32_000));
}
