using System.Net;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Tests.Security;

/// <summary>A web page of a configured origin must be able to read why it was refused, and by which id to find it in the log.</summary>
public sealed class CrossOriginRefusalTests() : WholeGateway(new ApiOptions { CorsOrigins = [Page] })
{
    private const string Page = "https://chat.example";

    [Theory]
    [InlineData("/v1/models", 9_000, 0, null, HttpStatusCode.RequestUriTooLong)]
    [InlineData("/v1/models", 0, 34_000, null, HttpStatusCode.RequestHeaderFieldsTooLarge)]
    [InlineData("/v1/messages", 0, 0, "evil.example", HttpStatusCode.Forbidden)]
    public async Task Get_RefusedBeforeItsEndpoint_CarriesTheHeaders(string path, int target, int headers, string? host, HttpStatusCode status)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"{path}?{new string('a', target)}") { Headers = { { "Origin", Page } } };
        request.Headers.Host = host;
        if (headers > 0)
            request.Headers.Add("X-Long", new string('a', headers));

        using var response = await Client.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(status, response.StatusCode);
        Assert.Equal(Page, Assert.Single(response.Headers.GetValues("Access-Control-Allow-Origin")));
        Assert.Contains("request-id", string.Join(',', response.Headers.GetValues("Access-Control-Expose-Headers")).Split(','));
        Assert.NotEmpty(Assert.Single(response.Headers.GetValues(SkeinHeaders.RequestId)));
    }
}
