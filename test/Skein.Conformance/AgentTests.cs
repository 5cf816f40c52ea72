using System.Text.Json;
using Skein.Conformance.Clients;
using Skein.Conformance.Engines;
using Skein.Conformance.Gateways;

namespace Skein.Conformance;

/// <summary>
/// Coding agents, each the program that people install, finish a task with their own tools: a file is written and read back. The short form of the tests
/// has the harder situation only.
/// </summary>
public sealed class AgentTests(ClientTable table)
{
    private const string Content = "forty-two owls";

    /// <summary>A piece of the task's first answer before which its server dies.</summary>
    private const int PieceOfDeath = 3;

    private static readonly NpmVersions Codex = Versions("@openai/codex", "0.171.0", "0.125.0");
    private static readonly NpmVersions Claude = Versions("@anthropic-ai/claude-code", "2.1.332", "2.0.77", "1.0.128");
    private static readonly NpmVersions Opencode = Versions("opencode-ai", "1.18.33", "1.3.2");

    public static TheoryData<string, bool> CodexRuns => Codex.With(false, true);

    public static TheoryData<string, bool> ClaudeRuns => Claude.With(false, true);

    public static TheoryData<string, bool> OpencodeRuns => Opencode.With(false, true);

    [Theory]
    [MemberData(nameof(CodexRuns))]
    public Task Codex_FinishesATask(string version, bool serverDies) => FinishAsync(
        Codex.Asked(version), "responses", serverDies, (agent, task, folder, http) => agent.RunProgramAsync(
        "codex",
        [
            "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "-c", "model_provider=skein", "-c", $"model={ScriptedEngine.Model}",
            "-c", $$"""model_providers.skein={name="skein",base_url="{{http}}/v1",wire_api="responses"}""", task.Prompt,
        ],
        new Dictionary<string, string> { ["CODEX_HOME"] = Directory.CreateDirectory(Path.Combine(folder, "home")).FullName },
        folder));

    [Theory]
    [MemberData(nameof(ClaudeRuns))]
    public Task ClaudeCode_FinishesATask(string version, bool serverDies) => FinishAsync(
        Claude.Asked(version), "messages", serverDies, (agent, task, folder, http) => agent.RunProgramAsync(
        "claude",
        ["-p", task.Prompt, "--model", ScriptedEngine.Model, "--allowedTools", "Write,Read"],
        new Dictionary<string, string>
        {
            ["ANTHROPIC_BASE_URL"] = http, ["ANTHROPIC_API_KEY"] = "none", ["ANTHROPIC_SMALL_FAST_MODEL"] = ScriptedEngine.Model,
            ["ANTHROPIC_DEFAULT_HAIKU_MODEL"] = ScriptedEngine.Model, ["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"] = "1", ["DISABLE_AUTOUPDATER"] = "1",
            ["HOME"] = Directory.CreateDirectory(Path.Combine(folder, "home")).FullName,
        },
        folder));

    [Theory]
    [MemberData(nameof(OpencodeRuns))]
    public Task Opencode_FinishesATask(string version, bool serverDies) => FinishAsync(
        Opencode.Asked(version), "chat", serverDies, async (agent, task, folder, http) =>
    {
        await File.WriteAllTextAsync(Path.Combine(folder, "opencode.json"), JsonSerializer.Serialize(new
        {
            autoupdate = false,
            provider = new
            {
                skein = new
                {
                    npm = "@ai-sdk/openai-compatible", name = "skein", options = new { baseURL = $"{http}/v1", apiKey = "none" },
                    models = new Dictionary<string, object> { [ScriptedEngine.Model] = new { name = ScriptedEngine.Model } },
                },
            },
        }));
        var home = Directory.CreateDirectory(Path.Combine(folder, "home")).FullName;
        return await agent.RunProgramAsync(
            "opencode",
            ["run", "--model", $"skein/{ScriptedEngine.Model}", task.Prompt],
            new Dictionary<string, string> { ["HOME"] = home, ["XDG_CONFIG_HOME"] = home, ["XDG_DATA_HOME"] = home, ["XDG_CACHE_HOME"] = home },
            folder);
    });

    private static NpmVersions Versions(string name, params IEnumerable<string> newestFirst) => new([.. newestFirst.Select(version => new NpmPackage(name, version))]);

    /// <param name="runAsync">Given the agent, the task, a folder to work in and the gateway's address.</param>
    private Task FinishAsync(NpmPackage agent, string api, bool serverDies, Func<NpmPackage, FileTask, string, string, Task<string>> runAsync)
    {
        Assert.SkipUnless(serverDies || Form.IsLong, Form.SkipMessage);
        return table.RunAsync(agent, api, serverDies ? "task, server dies" : "task", async () =>
        {
            var folder = Directory.CreateTempSubdirectory("skein-agent-").FullName;
            try
            {
                var file = Path.Combine(folder, "owls.txt");
                var task = new FileTask(file, Content);
                var trap = serverDies ? DeathTrap.At(PieceOfDeath) : null;
                await using var setting = await GatewayWithEngines.StartAsync(task.Answer, engines: trap is null ? 1 : 2, trap);

                var running = runAsync(agent, task, folder, setting.Http);
                if (trap is not null)
                    await trap.EndCaughtAsync();
                var output = await running;

                Assert.Contains(FileTask.Done + Content, output, StringComparison.Ordinal);
                Assert.Equal(Content, (await File.ReadAllTextAsync(file)).TrimEnd('\n'));
            }
            finally
            {
                Directory.Delete(folder, recursive: true);
            }
        });
    }
}
