using System.Text.Json.Nodes;
using Skein.Conformance.Clients;
using Skein.Conformance.Engines;
using Skein.Conformance.Gateways;

namespace Skein.Conformance;

/// <summary>Client libraries of Anthropic's and OpenAI's APIs, with their own helpers for streams.</summary>
public sealed class SdkTests(ClientTable table, SdkGateway shared) : IClassFixture<SdkGateway>
{
    private static readonly (NpmPackage Package, string Script, string Api) Anthropic =
        (new NpmPackage("@anthropic-ai/sdk", "1.10.0"), "anthropic-sdk.mjs", "messages");

    private static readonly (NpmPackage Package, string Script, string Api) Responses =
        (new NpmPackage("openai", "7.55.0"), "openai-responses.mjs", "responses");

    [Theory]
    [InlineData("plain", """{"text":"STORY","stop":"end_turn","input":11,"output":7}""")]
    [InlineData("stream", """{"text":"STORY","streamed":"STORY","stop":"end_turn","input":11,"output":7}""")]
    [InlineData("thinking", """{"thinking":"Let me think.","text":"Yes."}""")]
    [InlineData("tools", """{"stop":"tool_use","input":{"a":1,"b":2},"text":"It is 3."}""")]
    [InlineData("count", """{"input_tokens":11}""")]
    [InlineData("error", """{"error":"NotFoundError","status":404,"type":"not_found_error","id":true}""")]
    public Task AnthropicSdk_GetsWhatTheModelSaid(string situation, string expected) => CheckAsync(Anthropic, situation, expected);

    [Theory]
    [InlineData("plain", """{"text":"STORY","status":"completed","input":11,"output":7}""")]
    [InlineData("stream", """{"text":"STORY","streamed":"STORY","status":"completed","input":11,"output":7}""")]
    [InlineData("thinking", """{"thinking":"Let me think.","text":"Yes."}""")]
    [InlineData("tools", """{"status":"completed","input":{"a":1,"b":2},"text":"It is 3."}""")]
    [InlineData("error", """{"error":"BadRequestError","status":400,"param":"previous_response_id"}""")]
    public Task OpenAiResponses_GetWhatTheModelSaid(string situation, string expected) => CheckAsync(Responses, situation, expected);

    [Fact]
    public Task AnthropicSdk_ServerDiesInMidAnswer_GetsTheWholeAnswer() => DieAsync(Anthropic, engines: 2, "failover", answer =>
    {
        Assert.Equal(SdkScript.Story, answer["text"]!.GetValue<string>());
        Assert.Equal(SdkScript.Story, answer["streamed"]!.GetValue<string>());
    });

    [Fact]
    public Task OpenAiResponses_ServerDiesInMidAnswer_GetTheWholeAnswer() => DieAsync(Responses, engines: 2, "failover", answer =>
    {
        Assert.Equal(SdkScript.Story, answer["text"]!.GetValue<string>());
        Assert.Equal(SdkScript.Story, answer["streamed"]!.GetValue<string>());
    });

    [Fact]
    public Task AnthropicSdk_LastServerDiesInMidAnswer_Throws() => DieAsync(Anthropic, engines: 1, "broken", answer =>
    {
        Assert.True(SaysTheBeginning(answer) && answer["error"] is not null, answer.ToJsonString());
    });

    [Fact]
    public Task OpenAiResponses_LastServerDiesInMidAnswer_TellThatItFailed() => DieAsync(Responses, engines: 1, "broken", answer =>
    {
        Assert.True(SaysTheBeginning(answer) && answer["failed"] is not null && answer["error"] is not null, answer.ToJsonString());
    });

    private static bool SaysTheBeginning(JsonNode answer) =>
        answer["streamed"]!.GetValue<string>().StartsWith("Once upon", StringComparison.Ordinal);

    private Task CheckAsync((NpmPackage Package, string Script, string Api) client, string situation, string expected) =>
        table.RunAsync(client.Package, client.Api, situation, async () =>
        {
            var output = await client.Package.RunScriptAsync(client.Script, shared.Http, situation);

            Assert.Equal(expected.Replace("STORY", SdkScript.Story, StringComparison.Ordinal), output.Trim());
        });

    private Task DieAsync((NpmPackage Package, string Script, string Api) client, int engines, string situation, Action<JsonNode> check) =>
        table.RunAsync(client.Package, client.Api, situation, async () => check(JsonNode.Parse(
            await GatewayWithEngines.WhileServerDiesAsync(engines, http => client.Package.RunScriptAsync(client.Script, http, situation)))!));
}

/// <summary>The gateway of the tests in which nothing breaks.</summary>
public sealed class SdkGateway : IAsyncLifetime
{
    private GatewayWithEngines? _setting;

    internal string Http => _setting!.Http;

    public async ValueTask InitializeAsync() => _setting = await GatewayWithEngines.StartAsync(SdkScript.Answer);

    public ValueTask DisposeAsync() => _setting?.DisposeAsync() ?? ValueTask.CompletedTask;
}
