using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Skein.Gateway.Security;

namespace Skein.Gateway.Tests.Security;

/// <summary>A whole gateway on loopback, without replicas.</summary>
public sealed class RequestGuardMiddlewareTests : WholeGateway
{
    [Theory]
    [InlineData("GET", "/admin/v1/members")]
    [InlineData("GET", "/v1/models")]
    [InlineData("POST", "/v1/chat/completions")]
    [InlineData("POST", "/admin/v1/replicas/r1/drain")]
    public async Task Send_NameThatAWebPagePointedHere_IsRefusedWhateverIsAsked(string method, string path)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path) { Headers = { Host = "evil.example:8080" } };

        (var status, var code, var message) = await ErrorAsync(request);

        Assert.Equal((HttpStatusCode.Forbidden, "host_not_allowed"), (status, code));
        Assert.StartsWith("host 'evil.example' is not allowed; allowed: an IP address, localhost", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_MessagesUnderAnotherName_IsRefusedInAnthropicsForm()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/messages") { Headers = { Host = "evil.example:8080" } };
        using var response = await Client.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.StartsWith(
            "{\"type\":\"error\",\"error\":{\"type\":\"permission_error\"", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken),
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("drain", """{"graceSeconds":0}""", "text/plain")]
    [InlineData("undrain", "{}", "application/x-www-form-urlencoded")]
    [InlineData("restart", """{"revision":"r2"}""", null)]
    [InlineData("probe", "{}", "text/plain;charset=UTF-8")]
    public async Task Post_AdminVerbOfATypeThatAWebPageMaySendUnasked_IsRefused(string verb, string body, string? type)
    {
        using var content = new ByteArrayContent(Encoding.UTF8.GetBytes(body));
        if (type is not null)
            content.Headers.TryAddWithoutValidation("Content-Type", type);
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/admin/v1/replicas/r1/{verb}") { Content = content };

        (var status, var code, var message) = await ErrorAsync(request);

        Assert.Equal((HttpStatusCode.UnsupportedMediaType, "unsupported_media_type"), (status, code));
        Assert.Equal($"content-type: {type ?? "missing"}; allowed: application/json (with curl: -H 'content-type: application/json')", message);
    }

    [Theory]
    [InlineData("drain", """{"graceSeconds":"NaN"}""", "the body is wrong at $.graceSeconds; allowed: such as {\"graceSeconds\": 30}")]
    [InlineData("drain", """{"graceSeconds":1e400}""", "graceSeconds Infinity is out of range; allowed: 0 to 86400")]
    [InlineData("drain", """{"graceSeconds":1,"graceSeconds":2}""", "the body is wrong at $.graceSeconds; allowed: such as {\"graceSeconds\": 30}")]
    [InlineData("drain", null, "content-length: 5000; allowed: up to 4096")]
    [InlineData("undrain", "[]", "the body is wrong at $; allowed: such as {}")]
    public async Task Post_AdminBodyThatIsWrong_IsRefused(string verb, string? body, string problem)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/admin/v1/replicas/r1/{verb}") { Content = new StringContent(body ?? new string(' ', 5000), Encoding.UTF8, "application/json") };

        (var status, var code, var message) = await ErrorAsync(request);

        Assert.Equal((HttpStatusCode.BadRequest, "invalid_value", problem), (status, code, message));
    }

    [Theory]
    [InlineData("/livez", HttpStatusCode.OK)]
    [InlineData("/readyz", HttpStatusCode.ServiceUnavailable)]
    public async Task Head_OfAHealthCheck_SaysTheSameAsGet(string path, HttpStatusCode expected)
    {
        foreach (var method in new[] { HttpMethod.Get, HttpMethod.Head })
        {
            using var request = new HttpRequestMessage(method, path);
            using var response = await Client.SendAsync(request, TestContext.Current.CancellationToken);
            Assert.Equal(expected, response.StatusCode);
        }
    }

    [Fact]
    public async Task Send_HeadersPastTheBound_TheErrorNamesTheirSize()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/models");
        request.Headers.Add("x-long", new string('x', 40_000));

        (var status, var code, var message) = await ErrorAsync(request);

        Assert.Equal((HttpStatusCode.RequestHeaderFieldsTooLarge, "request_headers_too_large"), (status, code));
        Assert.Matches("^the headers have 40[0-9]{3} bytes; allowed: up to 32768 bytes$", message);
    }

    [Theory]
    [InlineData("127.0.0.1:8080", true)]
    [InlineData("10.1.2.3", true)]
    [InlineData("[::1]:8080", true)]
    [InlineData("localhost:8080", true)]
    [InlineData("localhost.", true)]
    [InlineData("skein.localhost", true)]
    [InlineData("gateway:8080", true)]
    [InlineData("llm.example.org", true)]
    [InlineData("LLM.example.org:443", true)]
    [InlineData("", true)]
    [InlineData("evil.example", false)]
    [InlineData("127.0.0.1.evil.example", false)]
    [InlineData("localhost.evil.example", false)]
    [InlineData("notlocalhost.com", false)]
    public void Allows_OnLoopback_IsWhatNobodyElseCanRegister(string host, bool isAllowed) =>
        Assert.Equal(isAllowed, new HostGuard(IPAddress.Loopback, ["llm.example.org"]).Allows(new HostString(host)));

    [Fact]
    public void Allows_BeyondLoopbackOrWithTheWildcard_IsEverything()
    {
        Assert.True(new HostGuard(IPAddress.Any, []).Allows(new HostString("llm.example.org")));
        Assert.True(new HostGuard(IPAddress.Loopback, [HostGuard.Any]).Allows(new HostString("llm.example.org")));
    }

    private async Task<(HttpStatusCode Status, string Code, string Message)> ErrorAsync(HttpRequestMessage request)
    {
        using var response = await Client.SendAsync(request, TestContext.Current.CancellationToken);
        var error = JsonElement.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).GetProperty("error");
        return (response.StatusCode, error.GetProperty("code").GetString()!, error.GetProperty("message").GetString()!);
    }
}
