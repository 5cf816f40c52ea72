using System.Text.Json;
using Skein.EndToEnd.Support;

namespace Skein.EndToEnd;

/// <summary>A gateway with too few slots, and the official client of npm with its own retries.</summary>
public sealed class SdkOverloadTests
{
    /// <summary>The client that gives up after the first request and two retries is what official SDKs are by default.</summary>
    private const int MostAttempts = 3;

    private const int Requests = 120;

    [Fact]
    public async Task Burst_OfThreeTimesTheCapacity_ClientsComeBackWhenToldAndAreLetIn()
    {
        var script = await NpmClient.InstallAsync("openai-overload.mjs");
        // Four slots of 0.2 s serve 20 requests a second; one comes each 1/60 s.
        await using var cluster = await LooseCluster.StartAsync(["one"], ["--slots", "4", "--tokens-per-second", "50"], "--queue-length", "8");

        var output = await NpmClient.RunAsync(
            "node", [script, new Uri(cluster.Client.BaseAddress!, "/v1").ToString(), "Count", "10", $"{Requests}", "16"], TimeSpan.FromSeconds(60));

        var asked = JsonSerializer.Deserialize<Asked[]>(output, JsonSerializerOptions.Web)!;
        Assert.Equal(Requests, asked.Length);
        Assert.All(asked, one => Assert.InRange(one.Attempts.Length, 1, MostAttempts));
        var refused = asked.Where(one => one.Attempts[0].Status == 429).ToList();
        Assert.InRange(refused.Count, Requests / 4, Requests);
        Assert.All(asked.SelectMany(one => one.Attempts), attempt => Assert.True(attempt.Status == 200 || attempt.RetryAfterMs > 0, $"{attempt} says not when to come back"));
        // Each one waits for as long as it was told: that the client can do no better is what makes the answer worth computing.
        Assert.All(refused, one => Assert.True(one.Attempts.Length == 1 || one.Attempts[1].AtMs - one.Attempts[0].AtMs >= one.Attempts[0].RetryAfterMs - 5, $"{one.Attempts[0]}"));
        var letIn = refused.Count(one => one.Attempts.Length > 1 && one.Attempts[1].Status == 200);
        Assert.InRange(letIn, 0.9 * refused.Count, refused.Count);
        // No storm: hardly anybody needs more than one return.
        Assert.InRange(asked.Sum(one => one.Attempts.Length), Requests, (int)(1.1 * (Requests + refused.Count)));
        Assert.All(asked, one => Assert.True(one.Error is not null || one.Tokens == 10, $"{one.Tokens} tokens"));
    }

    private sealed record Asked(Attempt[] Attempts, int Tokens, string? Error);

    private sealed record Attempt(double AtMs, int Status, double? RetryAfterMs);
}
