using System.Text.Json.Nodes;
using Skein.Conformance.Clients;
using Skein.Conformance.Engines;
using Skein.Conformance.Gateways;

namespace Skein.Conformance;

/// <summary>Client libraries of Anthropic's and OpenAI's APIs, with their own helpers for streams.</summary>
public sealed class SdkTests(ClientTable table, SdkGateway shared) : IClassFixture<SdkGateway>
{
    private static readonly (NpmPackage Package, string Script, string Path) Anthropic =
        (new NpmPackage("@anthropic-ai/sdk", "1.10.0"), "anthropic-sdk.mjs", "");

    private static readonly (NpmPackage Package, string Script, string Path) Responses =
        (new NpmPackage("openai", "7.55.0"), "openai-responses.mjs", "/v1");

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
        Assert.StartsWith("Once upon", answer["streamed"]!.GetValue<string>(), StringComparison.Ordinal);
        Assert.NotNull(answer["error"]);
    });

    [Fact]
    public Task OpenAiResponses_LastServerDiesInMidAnswer_TellThatItFailed() => DieAsync(Responses, engines: 1, "broken", answer =>
    {
        Assert.StartsWith("Once upon", answer["streamed"]!.GetValue<string>(), StringComparison.Ordinal);
        Assert.NotNull(answer["failed"]);
        Assert.NotNull(answer["error"]);
    });

    private Task CheckAsync((NpmPackage Package, string Script, string Path) client, string situation, string expected) =>
        table.RunAsync(client.Package, situation, async () =>
        {
            var output = await client.Package.RunScriptAsync(client.Script, shared.Http + client.Path, situation);

            Assert.Equal(expected.Replace("STORY", SdkScript.Story, StringComparison.Ordinal), output.Trim());
        });

    private Task DieAsync((NpmPackage Package, string Script, string Path) client, int engines, string situation, Action<JsonNode> check) =>
        table.RunAsync(client.Package, situation, async () =>
        {
            var trap = DeathTrap.At(SdkScript.PieceOfDeath);
            await using var setting = await GatewayWithEngines.StartAsync(SdkScript.Answer, engines, trap);

            var running = client.Package.RunScriptAsync(client.Script, setting.Http + client.Path, situation);
            await trap.EndCaughtAsync();

            check(JsonNode.Parse(await running)!);
        });
}

/// <summary>The gateway of the tests in which nothing breaks.</summary>
public sealed class SdkGateway : IAsyncLifetime
{
    private GatewayWithEngines? _setting;

    internal string Http => _setting!.Http;

    public async ValueTask InitializeAsync() => _setting = await GatewayWithEngines.StartAsync(SdkScript.Answer);

    public ValueTask DisposeAsync() => _setting?.DisposeAsync() ?? ValueTask.CompletedTask;
}
