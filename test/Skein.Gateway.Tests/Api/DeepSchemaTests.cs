using System.Text;
using Skein.Gateway.Api.Anthropic.Requests;
using Skein.Gateway.Api.OpenAi.Requests;
using Skein.Gateway.Api.OpenAi.Responses;
using Skein.Gateway.Api.OpenAi.Responses.Requests;
using Skein.Protocol;

namespace Skein.Gateway.Tests.Api;

/// <summary>Schemas of tools that are nested deeper than JSON readers allow by default.</summary>
public sealed class DeepSchemaTests
{
    private static readonly string Schema = string.Concat(Enumerable.Repeat("""{"a":""", 70)) + "{}" + new string('}', 70);

    [Fact]
    public void Chat_PassesItOn() => Check(
        RequestMembers.Chat.Read(Encoding.UTF8.GetBytes(
            $$$"""{"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function", "function": {"name": "f", "parameters": {{{Schema}}}}}]}""")));

    [Fact]
    public void Messages_PassItOn() => Check(
        MessagesMembers.All.Read(Encoding.UTF8.GetBytes(
            $$"""{"messages": [{"role": "user", "content": "x"}], "tools": [{"name": "f", "input_schema": {{Schema}}}]}""")));

    [Fact]
    public void Responses_PassItOn() => Check(
        ResponsesMembers.Read(
            Encoding.UTF8.GetBytes($$"""{"input": "x", "tools": [{"type": "function", "name": "f", "parameters": {{Schema}}}]}"""), new KeptItems(0)));

    private static void Check(OpenAiRequest request)
    {
        Assert.Contains(Schema, request.Generate.Chat.Tools.ToStringUtf8(), StringComparison.Ordinal);
        Assert.True(ChatJson.HasTools(request.Generate.Chat.Tools), "engines cannot read the tools");
    }
}
