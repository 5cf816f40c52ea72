using System.Text.Json;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.OpenAiCompatible;

public class CompletionLogprobsReaderTests
{
    private const string Choice =
        """{"logprobs":{"tokens":["W"],"token_logprobs":[-2.4197161197662354],"top_logprobs":[{"Wh":-2.5224568843841553,"W":-2.4197161197662354,"x":-9}]}}""";

    /// <summary>The same as vLLM's chat call has them: a continued chat keeps the form, with all digits.</summary>
    [Fact]
    public void Of_ChatThatContinuesByIds_HasTheFormOfChats()
    {
        var request = new GenerateRequest { Chat = new ChatPrompt(), Logprobs = 2 };

        var logprob = Assert.Single(CompletionLogprobsReader.Of(JsonElement.Parse(Choice), request, [48]));

        Assert.Equal(
            """{"token":"W","logprob":-2.4197161197662354,"bytes":[87],"top_logprobs":[{"token":"W","logprob":-2.4197161197662354,"bytes":[87]},"""
            + """{"token":"Wh","logprob":-2.5224568843841553,"bytes":[87,104]}]}""",
            logprob.Raw.ToStringUtf8());
        Assert.Equal((48u, 2), (logprob.TokenId, logprob.Top.Count));
    }

    [Fact]
    public void Of_Completion_HasNoFormOfChats()
    {
        var logprob = Assert.Single(CompletionLogprobsReader.Of(JsonElement.Parse(Choice), new GenerateRequest { Text = "x", Logprobs = 0 }, [48]));

        Assert.Equal((true, 0), (logprob.Raw.IsEmpty, logprob.Top.Count));
    }
}
