using System.Text.Json.Nodes;
using Skein.Conformance.Clients;
using Skein.Conformance.Engines;
using Skein.Conformance.Gateways;

namespace Skein.Conformance;

/// <summary>Clients of OpenAI's chat API, in several major versions. The short form has the newest one.</summary>
public sealed class ChatTests(ClientTable table, SdkGateway shared) : IClassFixture<SdkGateway>
{
    private const string Newest = "7.55.0";

    public static TheoryData<string> Versions => [Newest, "6.49.0", "5.23.2", "4.104.0"];

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task OpenAi_GetsWhatTheModelSaid(string version)
    {
        await CheckAsync(version, "plain", """{"text":"STORY","finish":"stop","output":7}""");
        await CheckAsync(version, "stream", """{"text":"STORY","finish":"stop","output":7}""");
        await CheckAsync(version, "tools", """{"finish":"tool_calls","input":{"a":1,"b":2},"text":"It is 3."}""");
        await CheckAsync(version, "n", """{"texts":["STORY","STORY"],"whole":[[0,"STORY"],[1,"STORY"]]}""");
        await CheckAsync(version, "stop", """{"text":"Once upon a time there","finish":"stop"}""");
        await CheckAsync(version, "logprobs", """{"whole":{"text":"STORY","least":-0.5},"streamed":{"text":"STORY","least":-0.5}}""");
        await CheckAsync(version, "schema", """{"a":1,"b":2}""");
        await CheckAsync(version, "embeddings", """{"packed":[[3,0.5],[5,0.5]],"plain":[3,0.5]}""");
        await CheckAsync(version, "error", """{"error":"NotFoundError","status":404,"code":"model_not_found"}""");
    }

    /// <summary>A piece every 200 ms.</summary>
    [Theory]
    [MemberData(nameof(Versions))]
    public Task OpenAi_SlowEngine_GetsTheWholeAnswer(string version) => CheckAsync(version, "slow", """{"text":"STORY","finish":"stop","output":7}""");

    /// <summary>The client follows Retry-After: both of two requests for one slot without a queue are answered.</summary>
    [Theory]
    [MemberData(nameof(Versions))]
    public Task OpenAi_Overload_IsAnsweredWhenItComesBack(string version) => RunAsync(version, "overload", async client =>
    {
        await using var setting = await GatewayWithEngines.StartAsync(SdkScript.Answer, slots: 1, queueLength: 0);

        var output = await client.RunScriptAsync("openai-chat.mjs", setting.Http, "overload");

        Assert.Equal($$"""{"texts":["{{SdkScript.Story}}","{{SdkScript.Story}}"]}""", output.Trim());
    });

    [Theory]
    [MemberData(nameof(Versions))]
    public Task OpenAi_Cancels_EngineIsStopped(string version) => RunAsync(version, "cancel", async client =>
    {
        await using var setting = await GatewayWithEngines.StartAsync(SdkScript.Answer);

        await client.RunScriptAsync("openai-chat.mjs", setting.Http, "cancel");

        await setting.Engines[0].Left.WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, TestContext.Current.CancellationToken);
    });

    [Theory]
    [MemberData(nameof(Versions))]
    public Task OpenAi_ServerDiesInMidAnswer_GetsTheWholeAnswer(string version) => RunAsync(version, "failover", async client =>
    {
        var answer = await DieAsync(client, engines: 2, "failover");

        Assert.Equal(SdkScript.Story, answer["text"]!.GetValue<string>());
        Assert.Equal("stop", answer["finish"]!.GetValue<string>());
    });

    [Theory]
    [MemberData(nameof(Versions))]
    public Task OpenAi_LastServerDiesInMidAnswer_Throws(string version) => RunAsync(version, "broken", async client =>
    {
        var answer = await DieAsync(client, engines: 1, "broken");

        Assert.StartsWith("Once upon", answer["text"]!.GetValue<string>(), StringComparison.Ordinal);
        Assert.NotNull(answer["error"]);
    });

    private static async Task<JsonNode> DieAsync(NpmPackage client, int engines, string situation) => JsonNode.Parse(
        await GatewayWithEngines.WhileServerDiesAsync(engines, http => client.RunScriptAsync("openai-chat.mjs", http, situation)))!;

    private Task CheckAsync(string version, string situation, string expected) => RunAsync(version, situation, async client => Assert.Equal(
        expected.Replace("STORY", SdkScript.Story, StringComparison.Ordinal),
        (await client.RunScriptAsync("openai-chat.mjs", shared.Http, situation)).Trim()));

    private Task RunAsync(string version, string situation, Func<NpmPackage, Task> test)
    {
        Assert.SkipUnless(version == Newest || Form.IsLong, Form.SkipMessage);
        var client = new NpmPackage("openai", version);
        return table.RunAsync(client, "chat", situation, () => test(client));
    }
}
