// A gateway with a balancing policy of its own, in front of three simulated engines in this process.
using System.Net;
using System.Net.Http.Json;
using CustomPolicy;
using Skein.Engines.Simulated;
using Skein.Gateway;
using Skein.Gateway.Upstreams;
using Skein.Routing.Admission;

var policy = new FillFirst();
var options = new GatewayOptions
{
    Http = new IPEndPoint(IPAddress.Loopback, 0),
    Grpc = new IPEndPoint(IPAddress.Loopback, 0),
    Policies = [policy],
    Admission = new AdmissionOptions { Policy = policy.Name },
    ExpectedReplicas = 3,
};
await using var gateway = GatewayApp.Build(options);
foreach (var name in new[] { "first", "second", "third" })
{
    gateway.Upstreams.Add(new UpstreamOptions
    {
        Name = name,
        // Clients see it in the header x-skein-replica.
        Label = name,
        Slots = 2,
        ConnectAsync = _ => Task.FromResult(SimulatedEngineFactory.Create(new SimulatedEngineOptions { TokensPerSecond = 20 }, TimeProvider.System)),
    });
}
await gateway.StartAsync();

using var http = new HttpClient { BaseAddress = new Uri($"http://{gateway.Http}") };
using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(30), TimeProvider.System);
while (!(await http.GetAsync("/readyz", timeout.Token)).IsSuccessStatusCode)
    await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, timeout.Token);

// Three answers at the same time: two fill the first replica, the third goes to the second.
var replicas = new List<string>();
var answers = new List<HttpResponseMessage>();
for (var i = 0; i < 3; i++)
{
    using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions");
    request.Content = JsonContent.Create(new { model = "simulated", prompt = "Hello", max_tokens = 20, stream = true });
    var answer = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, timeout.Token);
    answers.Add(answer.EnsureSuccessStatusCode());
    replicas.Add(answer.Headers.GetValues("x-skein-replica").Single());
}
Console.WriteLine($"{policy.Name}: {string.Join(", ", replicas)}");
foreach (var answer in answers)
{
    await answer.Content.ReadAsStringAsync(timeout.Token);
    answer.Dispose();
}
await gateway.StopAsync();
