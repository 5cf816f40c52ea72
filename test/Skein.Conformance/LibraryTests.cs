using System.Text.Json.Nodes;
using Skein.Conformance.Clients;
using Skein.Conformance.Gateways;

namespace Skein.Conformance;

/// <summary>Libraries over OpenAI's chat API, with classes of their own for models and answers. Only in the long form.</summary>
public sealed class LibraryTests(ClientTable table, SdkGateway shared) : IClassFixture<SdkGateway>
{
    private const string Text = """{"text":"STORY"}""";
    private const string Input = """{"input":{"a":1,"b":2}}""";
    private const string Vector = """{"vector":[3,0.5]}""";

    /// <summary>By their scripts.</summary>
    private static readonly Dictionary<string, NpmPackage[]> Libraries = new(StringComparer.Ordinal)
    {
        ["langchain"] = [new("@langchain/openai", "1.6.0", "@langchain/core"), new("@langchain/openai", "0.6.17", "@langchain/core@0.3.80")],
        ["llamaindex"] = [new("@llamaindex/openai", "0.4.23", "llamaindex@0.12.1"), new("@llamaindex/openai", "0.3.7", "llamaindex@0.10.6")],
        ["continue"] = [new("@continuedev/openai-adapters", "1.37.0"), new("@continuedev/openai-adapters", "1.0.19")],
        ["instructor"] =
        [
            new("@instructor-ai/instructor", "1.7.0", "openai@4.104.0", "zod@3.25.76"), new("@instructor-ai/instructor", "1.6.0", "openai@4.104.0", "zod@3.25.76"),
        ],
    };

    [Theory]
    [InlineData("langchain", "plain", Text)]
    [InlineData("langchain", "stream", Text)]
    [InlineData("langchain", "tools", Input)]
    [InlineData("llamaindex", "plain", Text)]
    [InlineData("llamaindex", "stream", Text)]
    [InlineData("llamaindex", "tools", Input)]
    [InlineData("llamaindex", "embeddings", Vector)]
    [InlineData("continue", "plain", Text)]
    [InlineData("continue", "stream", Text)]
    [InlineData("continue", "tools", Input)]
    [InlineData("continue", "embeddings", Vector)]
    public Task Library_GetsWhatTheModelSaid(string library, string situation, string expected) => CheckAsync(library, situation, expected);

    [Theory]
    [InlineData("tools", "TOOLS")]
    [InlineData("schema", "JSON_SCHEMA")]
    [InlineData("stream", "TOOLS")]
    public Task Instructor_GetsAnAnswerInTheFormOfASchema(string situation, string mode) => CheckAsync("instructor", situation, """{"a":1,"b":2}""", mode);

    [Theory]
    [InlineData("langchain")]
    [InlineData("llamaindex")]
    [InlineData("continue")]
    public Task Library_ServerDiesInMidAnswer_GetsTheWholeAnswer(string library) => RunAsync(library, "failover", async client =>
    {
        var output = await GatewayWithEngines.WhileServerDiesAsync(engines: 2, http => client.RunScriptAsync($"{library}.mjs", http, "failover"));

        Assert.Equal(SdkScript.Story, JsonNode.Parse(output)!["text"]!.GetValue<string>());
    });

    private Task CheckAsync(string library, string situation, string expected, params string[] arguments) => RunAsync(library, situation, async client =>
        Assert.Equal(
            expected.Replace("STORY", SdkScript.Story, StringComparison.Ordinal),
            (await client.RunScriptAsync($"{library}.mjs", [shared.Http, situation, .. arguments])).Trim()));

    /// <summary>Runs a test with each version of a library. The first one that fails ends it.</summary>
    private async Task RunAsync(string library, string situation, Func<NpmPackage, Task> test)
    {
        Assert.SkipUnless(Form.IsLong, Form.SkipMessage);
        foreach (var client in Libraries[library])
            await table.RunAsync(client, "chat", situation, () => test(client));
    }
}
