using System.Net;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Tests.Api.OpenAi;
using Skein.Protocol;

namespace Skein.Gateway.Tests.Api.Http;

/// <summary>Web pages of configured origins may use the APIs; others may not.</summary>
public sealed class CrossOriginTests
{
    private const string Page = "https://chat.example";

    [Fact]
    public async Task Preflight_ConfiguredOrigin_IsAllowedWithoutAKey()
    {
        await using var gateway = await StartAsync(Page);

        using var response = await SendAsync(gateway, HttpMethod.Options, Page, ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "authorization,content-type"));

        Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
        Assert.Equal(Page, Header(response, "Access-Control-Allow-Origin"));
        Assert.Contains("POST", Header(response, "Access-Control-Allow-Methods"), StringComparison.Ordinal);
        Assert.Contains("authorization", Header(response, "Access-Control-Allow-Headers"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Page, "https://evil.example")]
    [InlineData(null, Page)]
    public async Task Preflight_OtherOrigin_IsNotAllowed(string? configured, string origin)
    {
        await using var gateway = await StartAsync(configured);

        using var response = await SendAsync(gateway, HttpMethod.Options, origin, ("Access-Control-Request-Method", "POST"));

        Assert.Null(Header(response, "Access-Control-Allow-Origin"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Post_StreamOrError_CarriesTheHeaders(bool fails)
    {
        await using var gateway = await StartAsync(Page, session =>
        {
            if (fails)
                session.Fail(Fault.QueueFull, "busy");
            session.Push(Frames.Answer("a"));
            session.End();
        });

        using var response = await SendAsync(gateway, HttpMethod.Post, Page);

        Assert.Equal(fails ? HttpStatusCode.TooManyRequests : HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(Page, Header(response, "Access-Control-Allow-Origin"));
        Assert.Contains(SkeinHeaders.RequestId, Header(response, "Access-Control-Expose-Headers"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Get_AdministrationFromAConfiguredOrigin_CarriesNoHeader()
    {
        await using var gateway = await StartAsync("*");

        using var response = await gateway.Client.SendAsync(new HttpRequestMessage(HttpMethod.Get, "/admin/v1/members") { Headers = { { "Origin", Page } } });

        Assert.Null(Header(response, "Access-Control-Allow-Origin"));
    }

    [Theory]
    [InlineData("https://chat.example", true)]
    [InlineData("http://localhost:3000", true)]
    [InlineData("*", true)]
    [InlineData("https://chat.example/", false)]
    [InlineData("chat.example", false)]
    [InlineData("https://*.example", false)]
    [InlineData("https://chat.example:443", false)]
    public void IsOrigin_AcceptsWhatBrowsersSend(string origin, bool isAllowed) => Assert.Equal(isAllowed, ApiOptions.IsOrigin(origin));

    private static Task<TestGateway> StartAsync(string? origin, Action<ScriptedSession>? script = null) =>
        TestGateway.StartAsync(script, new ApiOptions { CorsOrigins = origin is null ? [] : [origin] });

    private static async Task<HttpResponseMessage> SendAsync(TestGateway gateway, HttpMethod method, string origin, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, Requests.ChatPath) { Headers = { { "Origin", origin } } };
        foreach (var (name, value) in headers)
            request.Headers.Add(name, value);
        if (method == HttpMethod.Post)
            request.Content = Requests.Json(Requests.StreamedChat);
        return await gateway.Client.SendAsync(request);
    }

    private static string? Header(HttpResponseMessage response, string name) =>
        response.Headers.TryGetValues(name, out var values) ? string.Join(',', values) : null;
}
