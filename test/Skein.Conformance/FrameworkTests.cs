using System.Text.Json.Nodes;
using Skein.Conformance.Clients;
using Skein.Conformance.Engines;
using Skein.Conformance.Gateways;

namespace Skein.Conformance;

/// <summary>Frameworks that run tools by themselves, on each of the gateway's APIs.</summary>
public sealed class FrameworkTests(ClientTable table, SdkGateway shared) : IClassFixture<SdkGateway>
{
    private static readonly NpmPackage AiSdk =
        new("ai", "7.0.173", "@ai-sdk/anthropic@4.0.105", "@ai-sdk/openai@4.0.118", "@ai-sdk/openai-compatible@3.0.92", "zod@4.6.7");

    private static readonly NpmPackage Agents = new("@openai/agents", "0.20.0", "zod@4.6.7");

    [Theory]
    [InlineData("anthropic")]
    [InlineData("openai")]
    [InlineData("openai-compatible")]
    public Task AiSdk_UsesAToolInALoop(string provider) => table.RunAsync(AiSdk, ApiOf(provider), "tools", async () =>
    {
        var output = await AiSdk.RunScriptAsync("ai-sdk.mjs", shared.Http, "tools", provider);

        Assert.Equal("""{"text":"It is 3.","steps":2}""", output.Trim());
    });

    [Theory]
    [InlineData("plain", "anthropic")]
    [InlineData("plain", "openai")]
    [InlineData("plain", "openai-compatible")]
    [InlineData("stream", "anthropic")]
    [InlineData("stream", "openai")]
    [InlineData("stream", "openai-compatible")]
    public Task AiSdk_GetsTheText(string situation, string provider)
    {
        Assert.SkipUnless(Form.IsLong, Form.SkipMessage);
        return table.RunAsync(AiSdk, ApiOf(provider), situation, async () =>
        {
            var output = await AiSdk.RunScriptAsync("ai-sdk.mjs", shared.Http, situation, provider);

            Assert.Equal($$"""{"text":"{{SdkScript.Story}}","finishReason":"stop"}""", output.Trim());
        });
    }

    [Theory]
    [InlineData("anthropic")]
    [InlineData("openai")]
    [InlineData("openai-compatible")]
    public Task AiSdk_ServerDiesInMidAnswer_GetsTheWholeAnswer(string provider)
    {
        Assert.SkipUnless(Form.IsLong, Form.SkipMessage);
        return table.RunAsync(AiSdk, ApiOf(provider), "failover", async () =>
        {
            var output = await GatewayWithEngines.WhileServerDiesAsync(engines: 2, http => AiSdk.RunScriptAsync("ai-sdk.mjs", http, "failover", provider));

            Assert.Equal(SdkScript.Story, JsonNode.Parse(output)!["text"]!.GetValue<string>());
        });
    }

    [Theory]
    [InlineData("plain")]
    [InlineData("stream")]
    public Task OpenAiAgents_UseATool(string situation) => table.RunAsync(Agents, "responses", "tools", async () =>
    {
        var output = await Agents.RunScriptAsync("openai-agents.mjs", shared.Http, situation);

        Assert.Equal("""{"text":"It is 3."}""", output.Trim());
    });

    private static string ApiOf(string provider) => provider switch
    {
        "anthropic" => "messages",
        "openai" => "responses",
        _ => "chat",
    };
}
