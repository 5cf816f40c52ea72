using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Skein.Gateway.Telemetry;
using Skein.Gateway.Tests.Api;
using Skein.Gateway.Tests.Api.OpenAi;
using Skein.Protocol;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Telemetry;

public sealed class AccessLogTests : IDisposable
{
    private readonly MemoryStream _written = new();

    public void Dispose() => _written.Dispose();

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

    /// <summary>Key guessing could not be found: its lines named an operation that was not asked for, and no client.</summary>
    [Fact]
    public async Task KeyRefused_LongPath_NamesItInPartAndTheClient()
    {
        using (var sink = new LineSink("access", () => _written, dropped => $"{dropped}", TimeProvider.System))
        {
            await using var gateway = await TestGateway.StartAsync(telemetry: new TelemetryOptions { AccessLog = sink });
            var metrics = gateway.Services.GetRequiredService<GatewayMetrics>();
            metrics.KeyRefused("req-1", key: null, "key_missing_or_wrong", "/v1/models", IPAddress.Parse("10.0.0.9"));
            metrics.KeyRefused("req-2", "alice", "key_not_admin", "/" + new string('x', 1000), client: null);
        }

        var lines = Encoding.UTF8.GetString(_written.ToArray()).TrimEnd('\n').Split('\n').Select(line => JsonNode.Parse(line)!).ToList();
        Assert.Equal(("/v1/models", "10.0.0.9"), ((string?)lines[0]["path"], (string?)lines[0]["client"]));
        Assert.Null(lines[0]["operation"]);
        Assert.Equal(("alice", 256), ((string?)lines[1]["key"], ((string?)lines[1]["path"])!.Length));
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
