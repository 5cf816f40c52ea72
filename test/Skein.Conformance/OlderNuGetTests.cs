using System.Text.Json.Nodes;
using Skein.Conformance.Clients;
using Skein.Conformance.Gateways;

namespace Skein.Conformance;

/// <summary>Older versions of the clients of <see cref="NuGetTests"/>. Only in the long form.</summary>
public sealed class OlderNuGetTests(ClientTable table, SdkGateway shared) : IClassFixture<SdkGateway>
{
    private static readonly (NuGetProgram Program, string Api)[] Programs =
    [
        (new("OpenAI (NuGet)", "OpenAI", "2.10.0"), "chat"),
        (new("OpenAI (NuGet)", "OpenAI", "2.1.0"), "chat"),
        (new("Microsoft.Extensions.AI.OpenAI", "Microsoft.Extensions.AI.OpenAI", "10.5.0", extensionsAi: "10.5.0"), "chat"),
        (new("Microsoft.SemanticKernel.Connectors.OpenAI", "Microsoft.SemanticKernel.Connectors.OpenAI", "1.80.1", extensionsAi: "10.8.0"), "chat"),
        (new("Anthropic (NuGet)", "Anthropic", "12.36.0", extensionsAi: "10.8.0"), "messages"),
    ];

    public static TheoryData<string> Names => [.. Programs.Select(NameOf)];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Program_GetsWhatTheModelSaid(string name)
    {
        await RunAsync(name, "plain", async program => Assert.Equal(
            $$"""{"text":"{{SdkScript.Story}}","streamed":"{{SdkScript.Story}}"}""", (await program.RunAsync(shared.Http, "plain")).Trim()));
        await RunAsync(name, "tools", async program => Assert.Equal("""{"text":"It is 3."}""", (await program.RunAsync(shared.Http, "tools")).Trim()));
    }

    [Theory]
    [InlineData("OpenAI (NuGet) 2.10.0")]
    [InlineData("OpenAI (NuGet) 2.1.0")]
    public Task OpenAi_EmbedsTexts(string name) => RunAsync(name, "embeddings", async program => Assert.Equal(
        """{"vectors":[[3,0.5],[5,0.5]]}""", (await program.RunAsync(shared.Http, "embeddings")).Trim()));

    [Theory]
    [MemberData(nameof(Names))]
    public Task Program_ServerDiesInMidAnswer_GetsTheWholeAnswer(string name) => RunAsync(name, "failover", async program => Assert.Equal(
        $$"""{"text":"{{SdkScript.Story}}"}""", (await GatewayWithEngines.WhileServerDiesAsync(engines: 2, http => program.RunAsync(http, "failover"))).Trim()));

    /// <summary>The last server dies: no client may take the beginning for the whole answer.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public Task Program_LastServerDiesInMidAnswer_Throws(string name) => RunAsync(name, "broken", async program =>
    {
        var answer = JsonNode.Parse(await GatewayWithEngines.WhileServerDiesAsync(engines: 1, http => program.RunAsync(http, "broken")))!;

        Assert.StartsWith("Once upon", answer["text"]!.GetValue<string>(), StringComparison.Ordinal);
        Assert.NotNull(answer["error"]);
    });

    private static string NameOf((NuGetProgram Program, string Api) client) => $"{client.Program.Name} {client.Program.Version}";

    private Task RunAsync(string name, string situation, Func<NuGetProgram, Task> test)
    {
        Assert.SkipUnless(Form.IsLong, Form.SkipMessage);
        var (program, api) = Programs.Single(client => NameOf(client) == name);
        return table.RunAsync(program, api, situation, () => test(program));
    }
}
