using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Grpc.Core;
using Grpc.Net.Client;
using Skein.Protocol.Health;
using Skein.Protocol.V1;
using ServingStatus = Skein.Protocol.Health.HealthCheckResponse.Types.ServingStatus;

namespace Skein.Gateway.Tests;

/// <summary>The endpoints of a whole gateway that no API has, on loopback and without replicas.</summary>
public sealed class GatewayEndpointTests : IAsyncLifetime
{
    private readonly GatewayApp _gateway = GatewayApp.Build(new GatewayOptions { Http = new(IPAddress.Loopback, 0), Grpc = new(IPAddress.Loopback, 0) });
    private HttpClient _client = null!;
    private GrpcChannel _channel = null!;

    public async ValueTask InitializeAsync()
    {
        await _gateway.StartAsync(TestContext.Current.CancellationToken);
        _client = new HttpClient { BaseAddress = new Uri($"http://{_gateway.Http}"), Timeout = TimeSpan.FromSeconds(30) };
        _channel = GrpcChannel.ForAddress($"http://{_gateway.Grpc}");
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        _channel.Dispose();
        await _gateway.StopAsync(new CancellationToken(canceled: true));
        await _gateway.DisposeAsync();
    }

    [Theory]
    [InlineData("/health")]
    [InlineData("/ping")]
    public async Task Get_HealthUnderOtherNames_CountsReplicas(string path)
    {
        using var response = await _client.GetAsync(path);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        var health = JsonElement.Parse(await response.Content.ReadAsStringAsync());
        Assert.Equal(("unavailable", 0, 1), (health.GetProperty("status").GetString(), health.GetProperty("replicas").GetInt32(), health.GetProperty("expected").GetInt32()));
    }

    [Fact]
    public async Task Get_Readyz_CountsReplicas()
    {
        using var response = await _client.GetAsync("/readyz");

        Assert.Equal("not ready: 0 of 1 replicas are ready (0 of 1 expected replicas, 0 draining)\n", await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Get_Version_IsThatOfTheProduct() =>
        Assert.Matches("^[0-9]+\\.[0-9]+\\.[0-9]+", JsonElement.Parse(await _client.GetStringAsync("/version")).GetProperty("version").GetString());

    [Fact]
    public async Task Get_OpenApi_HasEveryPath()
    {
        var document = JsonElement.Parse(await _client.GetStringAsync("/openapi.json"));

        Assert.Equal("3.1.0", document.GetProperty("openapi").GetString());
        var paths = document.GetProperty("paths");
        Assert.True(paths.GetProperty("/v1/chat/completions").TryGetProperty("post", out _));
        Assert.True(paths.GetProperty("/v1/embeddings").TryGetProperty("post", out _));
        foreach (var path in (string[])["/livez", "/readyz", "/health", "/ping", "/version", "/metrics", "/openapi.json", "/admin/v1/overview", "/v1/messages/count_tokens"])
            Assert.NotEmpty(paths.GetProperty(path).EnumerateObject());
        Assert.Equal("name", paths.GetProperty("/admin/v1/replicas/{name}/drain").GetProperty("post").GetProperty("parameters")[0].GetProperty("name").GetString());
        Assert.DoesNotContain(paths.EnumerateObject(), path => path.Name.Contains("skein.v1", StringComparison.Ordinal) || path.Name.StartsWith("/{", StringComparison.Ordinal));
        Assert.Equal("model", paths.GetProperty("/v1/models/{model}").GetProperty("get").GetProperty("parameters")[0].GetProperty("name").GetString());
    }

    [Theory]
    [InlineData("GET", "/nothing", HttpStatusCode.NotFound, "unknown_url")]
    [InlineData("POST", "/metrics", HttpStatusCode.MethodNotAllowed, "method_not_allowed")]
    [InlineData("POST", "/livez", HttpStatusCode.MethodNotAllowed, "method_not_allowed")]
    [InlineData("PUT", "/admin/v1/members", HttpStatusCode.MethodNotAllowed, "method_not_allowed")]
    [InlineData("GET", "/admin//v1/members", HttpStatusCode.NotFound, "unknown_url")]
    public async Task Send_WhatIsNotServedOutsideOfTheApis_GetsAnErrorWithABody(string method, string path, HttpStatusCode status, string code)
    {
        using var response = await _client.SendAsync(new HttpRequestMessage(new HttpMethod(method), path));

        Assert.Equal(status, response.StatusCode);
        Assert.Equal(code, JsonElement.Parse(await response.Content.ReadAsStringAsync()).GetProperty("error").GetProperty("code").GetString());
        Assert.Equal(status == HttpStatusCode.MethodNotAllowed, response.Content.Headers.Allow.Count > 0);
    }

    [Fact]
    public async Task Get_PathPastTheBound_TheErrorNamesItsLength()
    {
        using var response = await _client.GetAsync($"/v1/models?x={new string('x', 9000)}");

        Assert.Equal(HttpStatusCode.RequestUriTooLong, response.StatusCode);
        Assert.Contains("the path and its query have 9013 bytes; allowed: up to 8192 bytes", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Health_ByServiceName_SaysWhatNeedsReplicas()
    {
        var health = new Health.HealthClient(_channel);

        var all = await health.ListAsync(new HealthListRequest());

        Assert.Equal(
            [("", ServingStatus.NotServing), ("grpc.health.v1.Health", ServingStatus.Serving), ("skein.v1.Admin", ServingStatus.Serving), ("skein.v1.Inference", ServingStatus.NotServing)],
            all.Statuses.OrderBy(status => status.Key, StringComparer.Ordinal).Select(status => (status.Key, status.Value.Status)));
        Assert.Equal(ServingStatus.NotServing, (await health.CheckAsync(new HealthCheckRequest { Service = "skein.v1.Inference" })).Status);
        var unknown = await Assert.ThrowsAsync<RpcException>(async () => await health.CheckAsync(new HealthCheckRequest { Service = "x.Y" }));
        Assert.Equal(StatusCode.NotFound, unknown.StatusCode);
        Assert.Contains("skein.v1.Inference", unknown.Status.Detail, StringComparison.Ordinal);
        using var watch = health.Watch(new HealthCheckRequest { Service = "x.Y" });
        Assert.True(await watch.ResponseStream.MoveNext(TestContext.Current.CancellationToken));
        Assert.Equal(ServingStatus.ServiceUnknown, watch.ResponseStream.Current.Status);
    }

    [Fact]
    public async Task Inference_CallsOfReplicas_AreRefusedWithAMessage()
    {
        var client = new Inference.InferenceClient(_channel);

        var error = await Assert.ThrowsAsync<RpcException>(async () => await client.ContinueAsync(new ContinueRequest()));
        Assert.Equal(StatusCode.Unimplemented, error.StatusCode);
        Assert.Contains("this is a gateway", error.Status.Detail, StringComparison.Ordinal);
        using var bus = client.Bus();
        error = await Assert.ThrowsAsync<RpcException>(() => bus.ResponseStream.MoveNext(TestContext.Current.CancellationToken));
        Assert.Contains("this is a gateway", error.Status.Detail, StringComparison.Ordinal);
    }

    /// <summary>A client that resolves localhost to the other family reaches the gateway all the same.</summary>
    [Fact]
    public async Task Listen_OnLoopback_ServesBothAddressFamilies()
    {
        Assert.SkipUnless(Socket.OSSupportsIPv6, "this machine has no IPv6");
        var (http, grpc) = (FreePort(), FreePort());
        await using var gateway = GatewayApp.Build(new GatewayOptions { Http = new(IPAddress.Loopback, http), Grpc = new(IPAddress.Loopback, grpc) });
        await gateway.StartAsync(TestContext.Current.CancellationToken);

        foreach (var host in new[] { "127.0.0.1", "[::1]", "localhost" })
            Assert.Equal("alive\n", await _client.GetStringAsync(new Uri($"http://{host}:{http}/livez")));
        using var channel = GrpcChannel.ForAddress($"http://[::1]:{grpc}");
        Assert.Equal("gateway", (await new Inference.InferenceClient(channel).DescribeAsync(new DescribeRequest())).Engine);
        Assert.Equal((new IPEndPoint(IPAddress.Loopback, http), new IPEndPoint(IPAddress.Loopback, grpc)), (gateway.Http, gateway.Grpc));
        await gateway.StopAsync(new CancellationToken(canceled: true));
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
