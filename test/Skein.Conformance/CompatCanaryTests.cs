using System.Text.Json.Nodes;
using Skein.Conformance.Clients;
using Skein.Conformance.Engines;
using Skein.Conformance.Gateways;

namespace Skein.Conformance;

/// <summary>CompatCanary, a scanner of OpenAI-compatible servers: straight at an engine that calls tools and follows schemas, and through a gateway.</summary>
public sealed class CompatCanaryTests(ClientTable table)
{
    private const int LeastScore = 95;

    private static readonly NpmPackage Canary = new("compatcanary", "0.2.2");

    [Theory]
    [InlineData("modern")]
    [InlineData("chat")]
    public Task Scan_ThroughTheGateway_LosesNoPointAndHasAtLeast95(string profile) => table.RunAsync(Canary, "chat, responses", profile, async () =>
    {
        await using var setting = await GatewayWithEngines.StartAsync(Answer);

        var direct = await ScanAsync(setting.Engines[0].Url.ToString().TrimEnd('/'), profile);
        var through = await ScanAsync(setting.Http, profile);

        TestContext.Current.TestOutputHelper?.WriteLine($"{profile}: direct {direct.Score}, through the gateway {through.Score}");
        Assert.Empty(direct.Passed.Except(through.Passed));
        Assert.InRange(through.Score, LeastScore, 100);
        Assert.True(through.Score >= direct.Score, $"direct {direct.Score}, through the gateway {through.Score}");
    });

    private static Reply Answer(ChatCall call) => call switch
    {
        { Tools: [var tool, ..] } => Reply.Call("", tool, new { value = "CANARY_OK" }),
        _ when call.Body.TryGetProperty("response_format", out _) => new Reply("""{"status":"ok"}"""),
        _ => new Reply("CANARY_OK"),
    };

    private static async Task<(double Score, IReadOnlyList<string> Passed)> ScanAsync(string http, string profile)
    {
        var report = JsonNode.Parse(await Canary.RunProgramAsync(
            "compatcanary",
            ["scan", "--base-url", $"{http}/v1", "--model", ScriptedEngine.Model, "--profile", profile, "--format", "json", "--fail-on", "never"],
            new Dictionary<string, string>(), Path.GetTempPath()))!;
        return (
            report["score"]!.GetValue<double>(),
            [.. report["results"]!.AsArray().Where(result => result!["status"]!.GetValue<string>() == "pass").Select(result => result!["id"]!.GetValue<string>())]);
    }
}
