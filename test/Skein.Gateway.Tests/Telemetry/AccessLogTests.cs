using System.Text;
using System.Text.Json.Nodes;
using Skein.Gateway.Telemetry;
using Skein.Gateway.Tests.Api;
using Skein.Gateway.Tests.Api.OpenAi;
using Skein.Protocol;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Telemetry;

public sealed class AccessLogTests
{
    private readonly MemoryStream _written = new();

    [Fact]
    public async Task End_StreamedChatWithAFailover_WritesOneLineWithoutThePrompt()
    {
        var line = await AskAsync(Requests.StreamedChat.Replace("hi", "a secret prompt", StringComparison.Ordinal), session =>
        {
            session.Attempts = 2;
            session.Replica = "replica-2";
            session.Failovers = [new Failover(0, 1, "replica-1", "link_stall")];
            session.Push(Frames.Answer("a", "b"));
            session.End();
        });

        Assert.DoesNotContain("secret", line, StringComparison.Ordinal);
        var entry = JsonNode.Parse(line)!;
        Assert.Equal(("req-1", "chat", "tiny", "completed"), ((string?)entry["id"], (string?)entry["operation"], (string?)entry["model"], (string?)entry["outcome"]));
        Assert.Equal(["replica-1", "replica-2"], entry["replicas"]!.AsArray().Select(name => (string?)name));
        Assert.Equal((2, 3, 2), ((int)entry["attempts"]!, (int)entry["input_tokens"]!, (int)entry["output_tokens"]!));
        Assert.Null(entry["key"]);
        Assert.True((double)entry["ttft_ms"]! <= (double)entry["duration_ms"]!);
        Assert.Equal(0, (double)entry["wait_ms"]!);
        Assert.EndsWith("Z", (string?)entry["time"], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{", "refused")]
    [InlineData("""{"model":"tiny","messages":[{"role":"user","content":"a"}]}""", "queue_full")]
    public async Task End_RequestThatFails_NamesTheOutcome(string body, string outcome)
    {
        var entry = JsonNode.Parse(await AskAsync(body, session => session.Fail(Fault.QueueFull, "full")))!;

        Assert.Equal(("req-1", outcome), ((string?)entry["id"], (string?)entry["outcome"]));
        Assert.Null(entry["ttft_ms"]);
    }

    private async Task<string> AskAsync(string body, Action<ScriptedSession> script)
    {
        using (var sink = new LineSink("access", () => _written, dropped => $"{dropped}", TimeProvider.System))
        {
            await using var gateway = await TestGateway.StartAsync(script, telemetry: new TelemetryOptions { AccessLog = sink });
            using var request = new HttpRequestMessage(HttpMethod.Post, Requests.ChatPath) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
            request.Headers.Add("x-request-id", "req-1");
            using var response = await gateway.Client.SendAsync(request, TestContext.Current.CancellationToken);
            await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
            await gateway.Outcomes.NextAsync();
        }
        return Encoding.UTF8.GetString(_written.ToArray()).TrimEnd('\n');
    }
}
