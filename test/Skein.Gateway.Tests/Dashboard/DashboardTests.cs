using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using Skein.Gateway.Keys;

namespace Skein.Gateway.Tests.Dashboard;

/// <summary>What a browser gets, and what it needs a key for. The page itself is tested in a browser by the end-to-end tests.</summary>
public sealed partial class DashboardTests : WholeGateway
{
    [Fact]
    public async Task Get_Root_IsThePageWithAllItsParts()
    {
        var page = await Client.GetStringAsync("/", TestContext.Current.CancellationToken);

        var parts = Parts().Matches(page).Select(match => match.Groups["part"].Value).ToList();
        Assert.Equal(["/dashboard/dashboard.css", "/dashboard/dashboard.js"], parts);
        foreach (var part in (string[])[.. parts, "/dashboard/playground.js", "/dashboard/rollout.js"])
            Assert.NotEmpty(await Client.GetStringAsync(part, TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("/", "text/html")]
    [InlineData("/dashboard/dashboard.css", "text/css")]
    [InlineData("/dashboard/dashboard.js", "text/javascript")]
    public async Task Get_Parts_RunNothingOfOtherOrigins(string path, string type)
    {
        using var response = await Client.GetAsync(new Uri(path, UriKind.Relative), TestContext.Current.CancellationToken);

        Assert.Equal(type, response.Content.Headers.ContentType?.MediaType);
        var policy = Assert.Single(response.Headers.GetValues("content-security-policy"));
        Assert.StartsWith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';", policy, StringComparison.Ordinal);
        Assert.Contains("frame-ancestors 'none'", policy, StringComparison.Ordinal);
        Assert.Equal("nosniff", Assert.Single(response.Headers.GetValues("x-content-type-options")));
    }

    [Fact]
    public async Task Head_Root_StillAnswersClientsThatAskWhetherAServerIsThere()
    {
        using var response = await Client.SendAsync(new HttpRequestMessage(HttpMethod.Head, "/"), TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task Get_OverviewOfAnEmptyGroup_HasAllItsMembers()
    {
        var overview = JsonElement.Parse(await Client.GetStringAsync("/admin/v1/overview", TestContext.Current.CancellationToken));

        Assert.Equal(
            ["at", "betweenTokens", "failed", "failoverCount", "failovers", "firstToken", "gateway", "inputTokens", "members", "models", "outputTokens", "queues", "requests", "sessions", "waiting"],
            overview.EnumerateObject().Select(member => member.Name).Order(StringComparer.Ordinal));
        Assert.Equal(0, overview.GetProperty("firstToken").GetProperty("count").GetInt32());
    }

    [Fact]
    public async Task Get_WithKeys_ThePageIsOpenAndItsDataIsNot()
    {
        Gateway.Keys.Use(new ApiKeyRing([new ApiKey { Name = "alice", Hash = ApiKey.HashOf("sk-alice") }, new ApiKey { Name = "root", Hash = ApiKey.HashOf("sk-root"), Admin = true }]));

        Assert.Equal(HttpStatusCode.OK, await StatusAsync("/", key: null));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync("/dashboard/dashboard.js", key: null));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync("/admin/v1/overview", key: null));
        Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync("/admin/v1/overview", "sk-alice"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync("/admin/v1/overview", "sk-root"));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync("/dashboards", key: null));
    }

    private async Task<HttpStatusCode> StatusAsync(string path, string? key)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (key is not null)
            request.Headers.Authorization = new("Bearer", key);
        using var response = await Client.SendAsync(request, TestContext.Current.CancellationToken);
        return response.StatusCode;
    }

    [GeneratedRegex("(href|src)=\"(?<part>/[^\"]+)\"", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Parts();
}
