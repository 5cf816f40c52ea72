using System.Text.Json;
using Skein.EndToEnd.Support;
using Skein.Engines.Embedded;
using Skein.Engines.Tests.OpenAiCompatible;
using Skein.Load.Chaos.Servers;

namespace Skein.EndToEnd;

/// <summary>
/// Real llama.cpp servers killed and restarted in the middle of answers of several kinds. The long form is the command in docs/measurements/failover.md.
/// </summary>
public sealed class ServerChaosTests
{
    [Fact]
    public async Task Chaos_LlamaServersKilledInMidAnswer_AnswersAreTheUndisturbedOnes()
    {
        var program = LlamaProgram.Find();
        Assert.SkipWhen(program is null, LlamaProgram.Missing);
        var server = $"'{program}' -m '{new EmbeddedEngineOptions().ModelFile}' --host 127.0.0.1 --port {{port}} --alias tiny -t 1 -c 8192 -np 4 -ctk f32 -ctv f32 -fa off";

        await using var chaos = SkeinProcess.Start(
            "chaos", "--server-command", server, "--bit-exact", "--json", "--requests", "completion,chat,chat-logprobs,chat-json-schema", "--questions", "1",
            "--max-faults", "4", "--max-tokens", "120", "--faults", "kill,restart");
        var end = await chaos.EndAsync(TimeSpan.FromMinutes(3));

        Assert.True(end.ExitCode == 0, $"exit code {end.ExitCode}\n{end.Output}\n{end.Errors}");
        var report = JsonSerializer.Deserialize<ServerChaosReport>(end.Output, JsonSerializerOptions.Web)!;
        // Only faults by which an answer was lost in its middle count.
        Assert.Equal(4, report.FaultCount);
        Assert.Equal(["kill", "restart"], report.Faults.Keys);
        Assert.InRange(report.Rows.Sum(row => row.Lost), report.FaultCount, 16);
        Assert.All(report.Rows, row => Assert.Equal((row.LostBy.Values.Sum(), row.Lost, 0), (row.Lost, row.Equal, row.Errors)));
        Assert.All(report.Rows.Where(row => row.Request is "completion" or "chat" or "chat-logprobs"), row => Assert.Equal("exact", row.Tier));
        TestContext.Current.TestOutputHelper?.WriteLine(end.Output);
    }
}
