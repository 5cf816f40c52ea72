using System.Net;
using Skein.Gateway.Tests.Api;
using Skein.Gateway.Tests.Api.OpenAi;

namespace Skein.Gateway.Tests.Telemetry;

/// <summary>A whole gateway without replicas: its requests wait, or are refused.</summary>
[Collection(nameof(MetricsTests))]
public sealed class QueueMetricsTests
{
    [Fact]
    public async Task Scrape_WaitersOfTwoClassesAndRefusals_ShowsThem()
    {
        await using var gateway = GatewayApp.Build(new GatewayOptions
        {
            Http = new(IPAddress.Loopback, 0), Grpc = new(IPAddress.Loopback, 0),
            Admission = new() { TenantFairness = true, QueueLength = 2 },
        });
        await gateway.StartAsync(TestContext.Current.CancellationToken);
        using var client = new HttpClient { BaseAddress = new Uri($"http://{gateway.Http}"), Timeout = TimeSpan.FromSeconds(30) };
        using var gone = new CancellationTokenSource();
        Task<HttpResponseMessage>[] waiting = [SendAsync(client, "-2", "a", gone.Token), SendAsync(client, "0", "b", gone.Token)];
        await Deadline.AskAsync(() => client.GetStringAsync("/metrics"), metrics => Has(metrics, "skein_queue_priority", "priority=\"0\"", "1")
            && Has(metrics, "skein_queue_priority", "priority=\"-2\"", "1"));

        using var refused = await SendAsync(client, "0", "c", TestContext.Current.CancellationToken);
        using var late = await SendAsync(client, "0", "c", TestContext.Current.CancellationToken);
        // The exporter keeps its last answer for a moment.
        var metrics = await Deadline.AskAsync(
            () => client.GetStringAsync("/metrics"), text => Has(text, "skein_queue_refusals_total", "reason=\"queue_length\"", "2"));

        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.True(Has(metrics, "skein_queue_prompt_tokens", "", "20"), metrics);
        Assert.True(Has(metrics, "skein_queue_tenants", "", "2"), metrics);
        Assert.True(Has(metrics, "skein_queue_refusals_total", "reason=\"queue_length\"", "2"), metrics);
        Assert.True(Has(metrics, "skein_queue_refusals_total", "reason=\"deadline\"", "0"), metrics);
        Assert.True(Has(metrics, "skein_kept_answers", "", "0"), metrics);
        await gone.CancelAsync();
        await Task.WhenAll(waiting).ContinueWith(_ => { }, TestContext.Current.CancellationToken, TaskContinuationOptions.None, TaskScheduler.Default);
        await gateway.StopAsync(new CancellationToken(canceled: true));
    }

    private static async Task<HttpResponseMessage> SendAsync(HttpClient client, string priority, string key, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
        {
            Content = Requests.Json($$"""{"model":"m","prompt":"{{new string('x', 40)}}","max_tokens":1}"""),
            Headers = { { "x-skein-priority", priority }, { "authorization", $"Bearer {key}" } },
        };
        return await client.SendAsync(request, cancellationToken);
    }

    private static bool Has(string metrics, string name, string label, string value) => metrics.Split('\n').Any(line =>
        line.StartsWith(name, StringComparison.Ordinal) && line.Contains(label, StringComparison.Ordinal) && line.Split(' ') is [_, var its, ..] && its == value);
}
