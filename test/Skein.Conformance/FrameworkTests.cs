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

    private static readonly NpmPackage LlamaIndex = new("@llamaindex/openai", "0.4.23", "llamaindex@0.12.1");

    private static readonly NpmPackage Continue = new("@continuedev/openai-adapters", "1.37.0");

    private static readonly NpmPackage Instructor = new("@instructor-ai/instructor", "1.7.0", "openai@4.104.0", "zod@3.25.76");

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
            var trap = DeathTrap.At(SdkScript.PieceOfDeath);
            await using var setting = await GatewayWithEngines.StartAsync(SdkScript.Answer, engines: 2, trap);

            var running = AiSdk.RunScriptAsync("ai-sdk.mjs", setting.Http, "failover", provider);
            await trap.EndCaughtAsync();

            Assert.Equal(SdkScript.Story, JsonNode.Parse(await running)!["text"]!.GetValue<string>());
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

    [Theory]
    [InlineData("plain", """{"text":"STORY"}""")]
    [InlineData("stream", """{"text":"STORY"}""")]
    [InlineData("tools", """{"input":{"a":1,"b":2}}""")]
    [InlineData("embeddings", """{"vector":[3,0.5]}""")]
    public Task LlamaIndex_GetsWhatTheModelSaid(string situation, string expected) => CheckAsync(LlamaIndex, "llamaindex.mjs", situation, expected);

    [Fact]
    public Task LlamaIndex_ServerDiesInMidAnswer_GetsTheWholeAnswer() => DieAsync(LlamaIndex, "llamaindex.mjs");

    [Theory]
    [InlineData("plain", """{"text":"STORY"}""")]
    [InlineData("stream", """{"text":"STORY"}""")]
    [InlineData("tools", """{"input":{"a":1,"b":2}}""")]
    [InlineData("embeddings", """{"vector":[3,0.5]}""")]
    public Task Continue_GetsWhatTheModelSaid(string situation, string expected) => CheckAsync(Continue, "continue.mjs", situation, expected);

    [Fact]
    public Task Continue_ServerDiesInMidAnswer_GetsTheWholeAnswer() => DieAsync(Continue, "continue.mjs");

    [Theory]
    [InlineData("tools", "TOOLS")]
    [InlineData("schema", "JSON_SCHEMA")]
    [InlineData("stream", "TOOLS")]
    public Task Instructor_GetsAnAnswerInTheFormOfASchema(string situation, string mode) =>
        CheckAsync(Instructor, "instructor.mjs", situation, """{"a":1,"b":2}""", mode);

    private Task CheckAsync(NpmPackage client, string script, string situation, string expected, params string[] arguments)
    {
        Assert.SkipUnless(Form.IsLong, Form.SkipMessage);
        return table.RunAsync(client, "chat", situation, async () => Assert.Equal(
            expected.Replace("STORY", SdkScript.Story, StringComparison.Ordinal),
            (await client.RunScriptAsync(script, [shared.Http, situation, .. arguments])).Trim()));
    }

    private Task DieAsync(NpmPackage client, string script)
    {
        Assert.SkipUnless(Form.IsLong, Form.SkipMessage);
        return table.RunAsync(client, "chat", "failover", async () =>
        {
            var trap = DeathTrap.At(SdkScript.PieceOfDeath);
            await using var setting = await GatewayWithEngines.StartAsync(SdkScript.Answer, engines: 2, trap);

            var running = client.RunScriptAsync(script, setting.Http, "failover");
            await trap.EndCaughtAsync();

            Assert.Equal(SdkScript.Story, JsonNode.Parse(await running)!["text"]!.GetValue<string>());
        });
    }

    private static string ApiOf(string provider) => provider switch
    {
        "anthropic" => "messages",
        "openai" => "responses",
        _ => "chat",
    };
}
