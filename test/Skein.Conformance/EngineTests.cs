using System.Text.Json;
using Skein.Conformance.Clients;
using Skein.Conformance.Gateways;
using Skein.EndToEnd.Support;
using Skein.Engines.Embedded;
using Skein.Engines.Tests.OpenAiCompatible;

namespace Skein.Conformance;

/// <summary>OpenAI's client in front of each kind of engine, whose answers follow no script: what comes is compared with what came in another way.</summary>
public sealed class EngineTests(ClientTable table)
{
    private static readonly NpmPackage OpenAi = new("openai", "7.55.0");

    [Fact]
    public async Task Embedded_AnswersOpenAisClient()
    {
        await using var group = await GatewayWithReplica.StartAsync("embedded");
        await CheckAsync("embedded", group.Http, "plain", "stream", "n", "stop", "logprobs", "refused", "cancel", "error");
    }

    [Fact]
    public async Task Simulated_AnswersOpenAisClient()
    {
        await using var group = await GatewayWithReplica.StartAsync("simulated");
        await CheckAsync("simulated", group.Http, "plain", "stream", "n", "stop", "refused", "cancel", "error");
    }

    [Fact]
    public async Task LlamaCpp_AnswersOpenAisClient()
    {
        Assert.SkipUnless(Form.IsLong, Form.SkipMessage);
        Assert.SkipWhen(LlamaProgram.Find() is null, LlamaProgram.Missing);
        var port = FreePort.Next();
        using var server = LlamaProgram.Start(LlamaProgram.Find()!, new EmbeddedEngineOptions().ModelFile, port, slots: 2, "--jinja");
        try
        {
            await using var gateway = await UpstreamGateway.StartAsync([new Uri($"http://127.0.0.1:{port}")]);
            await gateway.MemberAsync($"127.0.0.1:{port}", "alive");
            await CheckAsync(
                "llama.cpp", gateway.Client.BaseAddress!.ToString().TrimEnd('/'),
                "plain", "stream", "n", "stop", "logprobs", "schema", "cancel", "error");
        }
        finally
        {
            server.Kill();
            await server.WaitForExitAsync(TestContext.Current.CancellationToken);
        }
    }

    private async Task CheckAsync(string engine, string http, params string[] situations)
    {
        var model = await GatewayWithReplica.ModelAsync(http);
        var output = await OpenAi.RunScriptAsync("openai-engine.mjs", [http, model, .. situations]);
        var results = JsonSerializer.Deserialize<Dictionary<string, string>>(output)!;
        Assert.Equal(situations, results.Keys);
        var problems = new List<string>();
        foreach (var (situation, result) in results)
        {
            table.Count(OpenAi, $"chat ({engine})", situation, result == "ok" ? null : result);
            if (result != "ok")
                problems.Add($"{situation}: {result}");
        }
        Assert.Empty(problems);
    }
}
