using System.Text.Json.Nodes;
using Skein.Conformance.Clients;
using Skein.Conformance.Engines;
using Skein.Conformance.Gateways;

namespace Skein.Conformance;

/// <summary>Client libraries of Anthropic's and OpenAI's APIs, with their own helpers for streams.</summary>
public sealed class SdkTests(ClientTable table, SdkGateway shared) : IClassFixture<SdkGateway>
{
    private static readonly (NpmPackage[] Versions, string Script, string Api) Anthropic =
        ([new("@anthropic-ai/sdk", "1.10.0"), new("@anthropic-ai/sdk", "0.137.0"), new("@anthropic-ai/sdk", "0.60.0")], "anthropic-sdk.mjs", "messages");

    private static readonly (NpmPackage[] Versions, string Script, string Api) Responses =
        ([new("openai", "7.55.0"), new("openai", "6.49.0"), new("openai", "5.23.2")], "openai-responses.mjs", "responses");

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

    private Task CheckAsync((NpmPackage[] Versions, string Script, string Api) client, string situation, string expected) =>
        RunAsync(client, situation, async package => Assert.Equal(
            expected.Replace("STORY", SdkScript.Story, StringComparison.Ordinal),
            (await package.RunScriptAsync(client.Script, shared.Http, situation)).Trim()));

    private Task DieAsync((NpmPackage[] Versions, string Script, string Api) client, int engines, string situation, Action<JsonNode> check) =>
        RunAsync(client, situation, async package => check(JsonNode.Parse(
            await GatewayWithEngines.WhileServerDiesAsync(engines, http => package.RunScriptAsync(client.Script, http, situation)))!));

    /// <summary>Runs a test with the versions of a client that the form has. The first one that fails ends it.</summary>
    private async Task RunAsync((NpmPackage[] Versions, string Script, string Api) client, string situation, Func<NpmPackage, Task> test)
    {
        foreach (var package in client.Versions.Take(Form.IsLong ? client.Versions.Length : 1))
            await table.RunAsync(package, client.Api, situation, () => test(package));
    }
}

/// <summary>The gateway of the tests in which nothing breaks.</summary>
public sealed class SdkGateway : IAsyncLifetime
{
    private GatewayWithEngines? _setting;

    internal string Http => _setting!.Http;

    public async ValueTask InitializeAsync() => _setting = await GatewayWithEngines.StartAsync(SdkScript.Answer);

    public ValueTask DisposeAsync() => _setting?.DisposeAsync() ?? ValueTask.CompletedTask;
}
