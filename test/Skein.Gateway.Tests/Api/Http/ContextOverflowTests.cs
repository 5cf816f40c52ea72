using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Tests.Api.Http;

public sealed class ContextOverflowTests
{
    [Theory]
    [InlineData("This model's maximum context length is 8192 tokens. However, you requested 32010 tokens (10 in the messages, 32000 in the completion).", 10, 8192)]
    [InlineData("'max_tokens' is too large: 32000. This model's maximum context length is 8192 tokens and your request has 10 input tokens (32000 > 8192 - 10).", 10, 8192)]
    [InlineData("Requested token count exceeds the model's maximum context length of 8192 tokens. You requested a total of 32010 tokens: 10 tokens from the input "
        + "messages and 32000 tokens for the completion.", 10, 8192)]
    [InlineData("the model's context holds 2048 tokens; asked for: a prompt of 48 and max_tokens 32000", 48, 2048)]
    [InlineData("This model's maximum context length is 4096 tokens. However, your request has 5000 input tokens.", 5000, 4096)]
    [InlineData("request (9000 tokens) exceeds the available context size (8192 tokens), try increasing it", 9000, 8192)]
    [InlineData("The input (9000 tokens) is longer than the model's context length (8192 tokens).", 9000, 8192)]
    [InlineData("the prompt has 9000 tokens; the context has 8192", 9000, 8192)]
    [InlineData("a prompt of 10 and 32000 do not fit 8192", 10, 8192)]
    public void Read_MessagesOfEngines_TellIt(string message, uint prompt, uint context) =>
        Assert.Equal(new ContextOverflow(prompt, context), ContextOverflow.Read(message, 32_000));

    [Theory]
    [InlineData("the context is full")]
    [InlineData("maximum context length is 4096 tokens")]
    [InlineData("1 2 3 4 5 6 7")]
    [InlineData("99999999999999999999999 tokens")]
    [InlineData("")]
    [InlineData("the context has 64000 tokens and the prompt 10")] // both fit: that was not the reason
    public void Read_MessagesThatDoNotTell_IsUnknown(string message) => Assert.Null(ContextOverflow.Read(message, 32_000));

    [Theory]
    [InlineData(10, 8192, 8182)]
    [InlineData(8192, 8192, 0)]
    [InlineData(9000, 8192, 0)]
    public void Left_IsWhatThePromptLeaves(uint prompt, uint context, uint left)
    {
        var overflow = new ContextOverflow(prompt, context);

        Assert.Equal((left, left == 0), (overflow.Left, overflow.IsOfPrompt));
    }

    [Fact]
    public void Read_NoMaxTokens_OnlyThePromptCanBeTooLong()
    {
        Assert.Equal(new ContextOverflow(9000, 8192), ContextOverflow.Read("context of 8192 tokens, prompt of 9000", null));
        Assert.Null(ContextOverflow.Read("context of 8192 tokens, prompt of 10", null));
    }
}
