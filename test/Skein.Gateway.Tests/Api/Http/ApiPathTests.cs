using System.Net;
using System.Text.Json;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Tests.Api.OpenAi;

namespace Skein.Gateway.Tests.Api.Http;

/// <summary>Clients whose base URL is slightly wrong, and paths that nobody serves.</summary>
public sealed class ApiPathTests
{
    [Theory]
    [InlineData("/chat/completions")]
    [InlineData("/v1/chat/completions/")]
    [InlineData("//v1//chat/completions")]
    [InlineData("/v1/v1/chat/completions")]
    public async Task Post_PathInAnotherForm_IsServed(string path)
    {
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            session.Push(Frames.Answer("a"));
            session.End();
        });

        using var response = await gateway.Client.PostAsync(new Uri(gateway.Http1, path.Replace("//", "/", StringComparison.Ordinal)), Requests.Json(Requests.WholeChat));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        using var raw = await RawHttp.PostAsync(gateway.Http1, path, Requests.WholeChat);
        Assert.StartsWith("HTTP/1.1 200 OK", await raw.ReadUntilAsync("\r\n\r\n"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/v1/models/org/big \"q\"")]
    [InlineData("/v1/models/org%2Fbig%20%22q%22")]
    [InlineData("/models/org/big%20%22q%22")]
    public async Task Get_ModelWithASlash_IsFoundRawAndEscaped(string path)
    {
        await using var gateway = await TestGateway.StartAsync();

        var model = JsonElement.Parse(await gateway.Client.GetStringAsync(path));

        Assert.Equal("org/big \"q\"", model.GetProperty("id").GetString());
    }

    [Theory]
    [InlineData("/v1/models", HttpStatusCode.OK)]
    [InlineData("/v1/models/tiny", HttpStatusCode.OK)]
    [InlineData("/v1/models/none", HttpStatusCode.NotFound)]
    public async Task Head_OfModels_SaysTheSameAsGet(string path, HttpStatusCode status)
    {
        await using var gateway = await TestGateway.StartAsync();

        using var head = await gateway.Client.SendAsync(new HttpRequestMessage(HttpMethod.Head, path));
        using var get = await gateway.Client.GetAsync(path);

        Assert.Equal((status, status), (head.StatusCode, get.StatusCode));
        Assert.Equal(get.Content.Headers.ContentLength, head.Content.Headers.ContentLength);
        Assert.Empty(await head.Content.ReadAsByteArrayAsync());
    }

    [Theory]
    [InlineData("GET", "/nothing", HttpStatusCode.NotFound, "unknown_url", null)]
    [InlineData("GET", "/v1", HttpStatusCode.NotFound, "unknown_url", null)]
    [InlineData("POST", "/v1/nothing", HttpStatusCode.NotFound, "unknown_url", null)]
    [InlineData("GET", "/v1/embeddings", HttpStatusCode.MethodNotAllowed, "method_not_allowed", "POST")]
    [InlineData("DELETE", "/v1/models/tiny", HttpStatusCode.MethodNotAllowed, "method_not_allowed", "GET, HEAD")]
    public async Task Send_WhatIsNotServed_GetsAnErrorWithABody(string method, string path, HttpStatusCode status, string code, string? allowed)
    {
        await using var gateway = await TestGateway.StartAsync();

        using var response = await gateway.Client.SendAsync(new HttpRequestMessage(new HttpMethod(method), path));

        Assert.Equal((status, "application/json"), (response.StatusCode, response.Content.Headers.ContentType?.ToString()));
        var error = JsonElement.Parse(await response.Content.ReadAsStringAsync()).GetProperty("error");
        Assert.Equal(code, error.GetProperty("code").GetString());
        Assert.StartsWith(path, error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Equal(allowed, allowed is null ? null : string.Join(", ", response.Content.Headers.Allow));
        Assert.NotEmpty(response.Headers.GetValues(SkeinHeaders.RequestId));
    }

    [Fact]
    public void Resolve_PathOfNoApi_StaysAsItIs()
    {
        var paths = new ApiPaths();
        paths.Add("/v1/models/{**model}", ["GET"]);

        Assert.All(["/", "/admin//v1/members", "/metrics", "//", "/models", "/v1/models/"], path => Assert.Equal(path, paths.Resolve(path)));
    }
}
