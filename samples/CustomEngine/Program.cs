// An engine of its own behind a gateway. The replica that serves is removed in the middle of an answer; the other one continues it.
using System.Net;
using System.Net.Http.Json;
using CustomEngine;
using Skein.Engines;
using Skein.Gateway;
using Skein.Gateway.Upstreams;

var options = new GatewayOptions
{
    Http = new IPEndPoint(IPAddress.Loopback, 0), Grpc = new IPEndPoint(IPAddress.Loopback, 0), ExpectedReplicas = 2,
};
var factory = new CountingEngineFactory();
var configuration = new EngineConfiguration("counting", new Dictionary<EngineSetting, object> { [EngineSetting.TokensPerSecond] = 20.0 });
await using var gateway = GatewayApp.Build(options);
foreach (var name in new[] { "a", "b" })
{
    gateway.Upstreams.Add(new UpstreamOptions
    {
        Name = name,
        // Clients see it in the header x-skein-replica.
        Label = name,
        ConnectAsync = cancellationToken => factory.CreateAsync(configuration, cancellationToken),
    });
}
await gateway.StartAsync();

using var http = new HttpClient { BaseAddress = new Uri($"http://{gateway.Http}") };
using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(30), TimeProvider.System);
while (!(await http.GetAsync("/readyz", timeout.Token)).IsSuccessStatusCode)
    await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, timeout.Token);

using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions");
request.Content = JsonContent.Create(new { model = "counting", prompt = "Count", max_tokens = 30, stream = true });
using var answer = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, timeout.Token);
var serving = answer.EnsureSuccessStatusCode().Headers.GetValues("x-skein-replica").Single();
await gateway.Upstreams.RemoveAsync(serving, TimeSpan.Zero, timeout.Token);
var events = await answer.Content.ReadAsStringAsync(timeout.Token);
var numbers = string.Concat(events.Split('\n').Where(line => line.StartsWith("data: {", StringComparison.Ordinal)).Select(TextOf));
Console.WriteLine($"{numbers.Trim()} (began on {serving}, continued elsewhere: {events.Contains("failovers=", StringComparison.Ordinal)})");
await gateway.StopAsync();

static string TextOf(string line)
{
    using var json = System.Text.Json.JsonDocument.Parse(line["data: ".Length..]);
    return string.Concat(json.RootElement.GetProperty("choices").EnumerateArray().Select(choice => choice.GetProperty("text").GetString()));
}
