using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Grpc.Core;
using Grpc.Net.Client;
using Skein.Gateway.Keys;
using Skein.Protocol.V1;

namespace Skein.Gateway.Tests.Security;

/// <summary>A whole gateway on loopback with keys, without replicas.</summary>
public sealed class KeyMiddlewareTests : WholeGateway
{
    public KeyMiddlewareTests()
        : base(new() { CorsOrigins = ["https://chat.example"] }) => Gateway.Keys.Use(new ApiKeyRing(
        [
            new ApiKey { Name = "alice", Hash = ApiKey.HashOf("sk-alice"), Models = ["m"], RequestsPerMinute = 1 },
            new ApiKey { Name = "root", Hash = ApiKey.HashOf("sk-root"), Admin = true },
        ]));

    [Theory]
    [InlineData("GET", "/v1/models")]
    [InlineData("POST", "/v1/chat/completions")]
    [InlineData("POST", "/chat/completions/")]
    [InlineData("POST", "/v1/embeddings")]
    [InlineData("GET", "/admin/v1/members")]
    [InlineData("POST", "/admin/v1/replicas/r/drain")]
    [InlineData("GET", "/metrics")]
    [InlineData("GET", "/nothing")]
    [InlineData("GET", "//nothing")]
    [InlineData("GET", "//admin/v1/members")]
    public async Task Send_WithoutKeyAndWithAWrongOne_IsRefusedAlike(string method, string path)
    {
        var without = await SendAsync(method, path, authorization: null);
        var wrong = await SendAsync(method, path, "Bearer sk-nobody");

        Assert.Equal((HttpStatusCode.Unauthorized, "invalid_api_key"), (without.Status, without.Code));
        Assert.Equal(without, wrong);
    }

    /// <summary>OPTIONS needed no key, and /metrics answered it with all its content.</summary>
    [Theory]
    [InlineData("/metrics")]
    [InlineData("/metrics/")]
    [InlineData("/admin/v1/members")]
    [InlineData("/v1/models")]
    [InlineData("/v1/chat/completions")]
    [InlineData("/v1/messages")]
    [InlineData("/openapi.json")]
    [InlineData("/nothing")]
    public async Task Options_WithoutKeyOrWithAWrongOne_IsNeverAnsweredWithContent(string path)
    {
        var without = await OptionsAsync(null, isPreflight: false);
        Assert.Equal(HttpStatusCode.Unauthorized, without.Status);
        Assert.Contains("the API key is missing or wrong", without.Text, StringComparison.Ordinal);
        Assert.Equal(without, await OptionsAsync("Bearer sk-nobody", isPreflight: false));
        Assert.Equal((HttpStatusCode.NoContent, ""), await OptionsAsync(null, isPreflight: true));

        async Task<(HttpStatusCode Status, string Text)> OptionsAsync(string? authorization, bool isPreflight)
        {
            using var request = Request("OPTIONS", path, authorization);
            request.Headers.Add("x-request-id", "same");
            if (isPreflight)
            {
                request.Headers.Add("Origin", "https://page.example");
                request.Headers.Add("Access-Control-Request-Method", "GET");
            }
            using var response = await Client.SendAsync(request, TestContext.Current.CancellationToken);
            return (response.StatusCode, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/readyz")]
    public async Task Options_OpenPath_IsNotServed(string path)
    {
        using var request = Request("OPTIONS", path, authorization: null);
        using var response = await Client.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, response.StatusCode);
    }

    [Theory]
    [InlineData("/metrics", false)]
    [InlineData("/admin/v1/members", false)]
    [InlineData("/skein.v1.Admin/ListMembers", false)]
    [InlineData("/metrics", true)]
    [InlineData("/skein.v1.Admin/ListMembers", true)]
    public async Task Options_OnTheGrpcPort_IsNeverAnsweredWithContent(string path, bool isPreflight)
    {
        using var request = new HttpRequestMessage(HttpMethod.Options, new Uri($"http://{Gateway.Grpc}{path}"))
        {
            Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        if (isPreflight)
        {
            request.Headers.Add("Origin", "https://page.example");
            request.Headers.Add("Access-Control-Request-Method", "POST");
        }

        using var response = await Client.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(isPreflight ? HttpStatusCode.NoContent : HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.DoesNotContain("skein_", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    /// <summary>Guessing keys left no trace.</summary>
    [Fact]
    public async Task Send_KeyThatIsRefused_IsCountedByReason()
    {
        await SendAsync("GET", "/v1/models", "Bearer sk-nobody");
        await SendAsync("GET", "/admin/v1/members", "Bearer sk-alice");

        using var request = new HttpRequestMessage(HttpMethod.Get, "/metrics");
        request.Headers.Authorization = AuthenticationHeaderValue.Parse("Bearer sk-root");
        using var response = await Client.SendAsync(request, TestContext.Current.CancellationToken);
        var metrics = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);

        // Other gateways of this process count into the same series.
        Assert.Matches("(?m)^skein_key_refused_total\\{[^}]*reason=\"key_missing_or_wrong\"\\} [1-9]", metrics);
        Assert.Matches("(?m)^skein_key_refused_total\\{[^}]*reason=\"key_not_admin\"\\} [1-9]", metrics);
    }

    [Fact]
    public async Task Post_EmbeddingsOfAModelThatTheKeyDoesNotAllow_IsRefused()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/embeddings") { Content = new StringContent("""{"model":"other"}""", Encoding.UTF8, "application/json") };
        request.Headers.Authorization = AuthenticationHeaderValue.Parse("Bearer sk-alice");

        using var response = await Client.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.Contains("model_not_allowed", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    /// <summary>A browser asks before it sends the key, and must be allowed to read why a key is refused.</summary>
    [Theory]
    [InlineData("OPTIONS", HttpStatusCode.NoContent)]
    [InlineData("POST", HttpStatusCode.Unauthorized)]
    public async Task Send_PageOfAConfiguredOriginWithoutKey_GetsTheHeadersOfCors(string method, HttpStatusCode status)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), "/v1/chat/completions")
        {
            Headers = { { "Origin", "https://chat.example" }, { "Access-Control-Request-Method", "POST" } },
        };

        using var response = await Client.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal((status, "https://chat.example"), (response.StatusCode, response.Headers.GetValues("Access-Control-Allow-Origin").Single()));
    }

    [Fact]
    public async Task Post_MessagesWithoutKey_IsRefusedInAnthropicsForm()
    {
        using var request = Request("POST", "/v1/messages", authorization: null);
        using var response = await Client.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.StartsWith(
            "{\"type\":\"error\",\"error\":{\"type\":\"authentication_error\"", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken),
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/livez", HttpStatusCode.OK)]
    [InlineData("/readyz", HttpStatusCode.ServiceUnavailable)]
    [InlineData("/health", HttpStatusCode.ServiceUnavailable)]
    [InlineData("/ping", HttpStatusCode.ServiceUnavailable)]
    public async Task Get_HealthWithoutKey_IsAnswered(string path, HttpStatusCode expected)
    {
        using var response = await Client.GetAsync(new Uri(path, UriKind.Relative), TestContext.Current.CancellationToken);
        Assert.Equal(expected, response.StatusCode);
    }

    [Theory]
    [InlineData("Bearer sk-alice", "/v1/models", HttpStatusCode.OK)]
    [InlineData("bearer sk-alice", "/v1/models", HttpStatusCode.OK)]
    [InlineData("Bearer sk-alice", "/admin/v1/members", HttpStatusCode.Forbidden)]
    [InlineData("Bearer sk-alice", "/metrics", HttpStatusCode.Forbidden)]
    [InlineData("Bearer sk-root", "/admin/v1/members", HttpStatusCode.OK)]
    [InlineData("Bearer sk-root", "/metrics", HttpStatusCode.OK)]
    public async Task Get_WithKey_IsServedWhatTheKeyAllows(string authorization, string path, HttpStatusCode expected) =>
        Assert.Equal(expected, (await SendAsync("GET", path, authorization)).Status);

    [Fact]
    public async Task Get_AnthropicsHeader_IsAKeyToo()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/models") { Headers = { { "x-api-key", "sk-alice" } } };
        using var response = await Client.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task Post_ModelOfAnother_IsRefused()
    {
        var refusal = await SendAsync("POST", "/v1/chat/completions", "Bearer sk-alice", Chat("other"));
        Assert.Equal((HttpStatusCode.Forbidden, "model_not_allowed"), (refusal.Status, refusal.Code));
    }

    [Fact]
    public async Task Post_LimitReached_IsRefusedWithTheTimeToWait()
    {
        var first = await SendAsync("POST", "/v1/chat/completions", "Bearer sk-alice", Chat("m", maxTokens: -7));
        Assert.Equal(HttpStatusCode.BadRequest, first.Status);
        using var second = Request("POST", "/v1/completions", "Bearer sk-alice", """{"model":"m","prompt":"x","max_tokens":1}""");
        var sent = Client.SendAsync(second, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        using var third = Request("POST", "/v1/completions", "Bearer sk-alice", """{"model":"m","prompt":"x","max_tokens":1}""");

        // Both need the one request of this minute; the other one waits for a replica until the gateway stops.
        using var refused = await (await Task.WhenAny(sent, Client.SendAsync(third, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken)));

        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.Equal("1", refused.Headers.GetValues("x-ratelimit-limit-requests").Single());
        Assert.Equal("0", refused.Headers.GetValues("x-ratelimit-remaining-requests").Single());
        Assert.Equal("0", refused.Headers.GetValues("anthropic-ratelimit-requests-remaining").Single());
        var reset = DateTimeOffset.ParseExact(
            refused.Headers.GetValues("anthropic-ratelimit-requests-reset").Single(), "yyyy-MM-dd'T'HH:mm:ssK", CultureInfo.InvariantCulture);
        Assert.InRange(reset - TimeProvider.System.GetUtcNow(), TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(61));
        Assert.InRange(refused.Headers.RetryAfter!.Delta!.Value, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(60));
    }

    [Fact]
    public async Task Use_KeyRevoked_ItsNextRequestIsRefused()
    {
        Gateway.Keys.Use(new ApiKeyRing([]));
        Assert.Equal(HttpStatusCode.Unauthorized, (await SendAsync("GET", "/v1/models", "Bearer sk-alice")).Status);
    }

    [Fact]
    public async Task Call_GrpcWithoutKey_IsUnauthenticated()
    {
        using var channel = GrpcChannel.ForAddress($"http://{Gateway.Grpc}");
        var admin = new Protocol.V1.Admin.AdminClient(channel);

        var without = await Assert.ThrowsAsync<RpcException>(
            async () => await admin.ListMembersAsync(new ListMembersRequest(), cancellationToken: TestContext.Current.CancellationToken));
        var alice = await Assert.ThrowsAsync<RpcException>(async () => await admin.ListMembersAsync(
            new ListMembersRequest(), new Metadata { { "authorization", "Bearer sk-alice" } }, cancellationToken: TestContext.Current.CancellationToken));
        var root = await admin.ListMembersAsync(
            new ListMembersRequest(), new Metadata { { "authorization", "Bearer sk-root" } }, cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal((StatusCode.Unauthenticated, StatusCode.PermissionDenied), (without.StatusCode, alice.StatusCode));
        Assert.StartsWith("the API key is missing or wrong", without.Status.Detail, StringComparison.Ordinal);
        Assert.Empty(root.Members);
    }

    private static string Chat(string model, int maxTokens = 1) =>
        JsonSerializer.Serialize(new { model, max_tokens = maxTokens, messages = new[] { new { role = "user", content = "x" } } });

    private static HttpRequestMessage Request(string method, string path, string? authorization, string? body = null)
    {
        var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (authorization is not null)
            request.Headers.Authorization = AuthenticationHeaderValue.Parse(authorization);
        if (method == "POST")
            request.Content = new StringContent(body ?? "{}", Encoding.UTF8, "application/json");
        return request;
    }

    private async Task<(HttpStatusCode Status, string? Code, string Body)> SendAsync(string method, string path, string? authorization, string? body = null)
    {
        using var request = Request(method, path, authorization, body);
        // Whole: two slashes at the begin of a relative address would name a host.
        request.RequestUri = new Uri($"http://{Gateway.Http}{path}");
        using var response = await Client.SendAsync(request, TestContext.Current.CancellationToken);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        var code = response.IsSuccessStatusCode || !text.StartsWith('{') ? null
            : JsonDocument.Parse(text).RootElement.GetProperty("error").GetProperty("code").GetString();
        return (response.StatusCode, code, text);
    }
}
