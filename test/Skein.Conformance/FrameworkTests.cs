using System.Text.Json.Nodes;
using Skein.Conformance.Clients;
using Skein.Conformance.Engines;
using Skein.Conformance.Gateways;

namespace Skein.Conformance;

/// <summary>Frameworks that run tools by themselves, on each of the gateway's APIs.</summary>
public sealed class FrameworkTests(ClientTable table, SdkGateway shared) : IClassFixture<SdkGateway>
{
    private static readonly string[] Providers = ["anthropic", "openai", "openai-compatible"];

    private static readonly NpmVersions AiSdks = new(
        new("ai", "7.0.173", "@ai-sdk/anthropic@4.0.105", "@ai-sdk/openai@4.0.118", "@ai-sdk/openai-compatible@3.0.92", "zod@4.6.7"),
        new("ai", "6.0.326", "@ai-sdk/anthropic@3.0.140", "@ai-sdk/openai@3.0.141", "@ai-sdk/openai-compatible@2.0.92", "zod@4.6.7"),
        new("ai", "5.0.277", "@ai-sdk/anthropic@2.0.112", "@ai-sdk/openai@2.0.131", "@ai-sdk/openai-compatible@1.0.61", "zod@4.6.7"));

    private static readonly NpmVersions Agents = new(
        new("@openai/agents", "0.20.0", "zod@4.6.7"), new("@openai/agents", "0.8.5", "zod@4.6.7"), new("@openai/agents", "0.3.9", "zod@4.6.7"));

    public static TheoryData<string, string> AiSdkRuns => AiSdks.With(Providers);

    public static TheoryData<string, string> AgentsRuns => Agents.With("plain", "stream");

    [Theory]
    [MemberData(nameof(AiSdkRuns))]
    public Task AiSdk_UsesAToolInALoop(string version, string provider) => RunAiSdkAsync(version, provider, "tools", async client =>
    {
        var output = await client.RunScriptAsync("ai-sdk.mjs", shared.Http, "tools", provider);

        Assert.Equal("""{"text":"It is 3.","steps":2}""", output.Trim());
    });

    [Theory]
    [MemberData(nameof(AiSdkRuns))]
    public async Task AiSdk_GetsTheText(string version, string provider)
    {
        Assert.SkipUnless(Form.IsLong, Form.SkipMessage);
        foreach (var situation in (string[])["plain", "stream"])
        {
            await RunAiSdkAsync(version, provider, situation, async client =>
            {
                var output = await client.RunScriptAsync("ai-sdk.mjs", shared.Http, situation, provider);

                Assert.Equal($$"""{"text":"{{SdkScript.Story}}","finishReason":"stop"}""", output.Trim());
            });
        }
    }

    [Theory]
    [MemberData(nameof(AiSdkRuns))]
    public Task AiSdk_ServerDiesInMidAnswer_GetsTheWholeAnswer(string version, string provider)
    {
        Assert.SkipUnless(Form.IsLong, Form.SkipMessage);
        return RunAiSdkAsync(version, provider, "failover", async client =>
        {
            var output = await GatewayWithEngines.WhileServerDiesAsync(engines: 2, http => client.RunScriptAsync("ai-sdk.mjs", http, "failover", provider));

            Assert.Equal(SdkScript.Story, JsonNode.Parse(output)!["text"]!.GetValue<string>());
        });
    }

    [Theory]
    [MemberData(nameof(AgentsRuns))]
    public Task OpenAiAgents_UseATool(string version, string situation)
    {
        var client = Agents.Asked(version);
        return table.RunAsync(client, "responses", "tools", async () =>
        {
            var output = await client.RunScriptAsync("openai-agents.mjs", shared.Http, situation);

            Assert.Equal("""{"text":"It is 3."}""", output.Trim());
        });
    }

    private Task RunAiSdkAsync(string version, string provider, string situation, Func<NpmPackage, Task> test)
    {
        var client = AiSdks.Asked(version);
        return table.RunAsync(client, ApiOf(provider), situation, () => test(client));
    }

    private static string ApiOf(string provider) => provider switch
    {
        "anthropic" => "messages",
        "openai" => "responses",
        _ => "chat",
    };
}
