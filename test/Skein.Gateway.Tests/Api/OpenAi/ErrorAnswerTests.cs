using System.Net;
using System.Text;
using System.Text.Json;
using CsCheck;
using Skein.Gateway.Api;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Telemetry;
using Skein.Protocol;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Api.OpenAi;

public sealed class ErrorAnswerTests
{
    [Theory]
    [InlineData(Fault.InvalidRequest, 400, "invalid_request_error", "invalid_request_error")]
    [InlineData(Fault.ContextLengthExceeded, 400, "invalid_request_error", "context_length_exceeded")]
    [InlineData(Fault.ModelNotFound, 404, "invalid_request_error", "model_not_found")]
    [InlineData(Fault.QueueFull, 429, "rate_limit_error", "queue_full")]
    [InlineData(Fault.QueueTimeout, 429, "rate_limit_error", "queue_timeout")]
    [InlineData(Fault.NoReplica, 503, "server_error", "no_replica")]
    [InlineData(Fault.TooManySessions, 503, "server_error", "too_many_sessions")]
    [InlineData(Fault.StreamLost, 502, "server_error", "stream_lost")]
    public async Task Post_SessionFails_HasStatusTypeAndCode(Fault error, int status, string type, string code)
    {
        await using var gateway = await TestGateway.StartAsync(session => session.Fail(error, "say \"why\""));
        foreach (var body in new[] { Requests.WholeChat, Requests.StreamedChat })
        {
            using var response = await gateway.Client.PostAsync(Requests.ChatPath, Requests.Json(body));

            Assert.Equal(status, (int)response.StatusCode);
            Assert.Equal(
                $$$"""{"error":{"message":"say \"why\"","type":"{{{type}}}","param":{{{(error == Fault.ModelNotFound ? "\"model\"" : "null")}}},"code":"{{{code}}}"}}""",
                await response.Content.ReadAsStringAsync());
            Assert.Equal(code, await gateway.Outcomes.NextAsync());
            Assert.Equal(status is 429 or 503, response.Headers.RetryAfter is not null);
        }
    }

    [Theory]
    [InlineData(Fault.InvalidRequest, "stop", "400", true, """{"message":"no \"x\"","type":"BadRequestError","param":"stop","code":400}""")]
    [InlineData(Fault.InvalidRequest, null, "400", false, """{"message":"no \"x\"","type":"BadRequestError","param":null,"code":"400"}""")]
    [InlineData(Fault.EngineFailed, null, null, false, """{"message":"no \"x\"","type":"BadRequestError","param":null,"code":null}""")]
    [InlineData(
        Fault.ContextLengthExceeded, null, "400", true, """{"message":"no \"x\"","type":"BadRequestError","param":null,"code":"context_length_exceeded"}""")]
    public async Task Post_EngineAnsweredAnError_TellsItInTheEnginesWords(Fault fault, string? param, string? code, bool isNumber, string expected)
    {
        var engine = new EngineError(422, "no \"x\"", "BadRequestError", param, code, TimeSpan.FromMilliseconds(1_500)) { CodeIsNumber = isNumber };
        await using var gateway = await TestGateway.StartAsync(session => session.Fail(new FaultException(fault, "ours") { Engine = engine }));
        foreach (var body in new[] { Requests.WholeChat, Requests.StreamedChat })
        {
            using var response = await gateway.Client.PostAsync(Requests.ChatPath, Requests.Json(body));

            Assert.Equal(422, (int)response.StatusCode);
            Assert.Equal($$"""{"error":{{expected}}}""", await response.Content.ReadAsStringAsync());
            Assert.Equal(fault.ToClientError().Code, await gateway.Outcomes.NextAsync());
            Assert.Equal(("2", "1500"), (response.Headers.GetValues("Retry-After").Single(), response.Headers.GetValues("retry-after-ms").Single()));
        }
    }

    [Fact]
    public async Task Post_ReplicaSentWhatHasNoForm_IsTheReplicasFault()
    {
        await using var gateway = await TestGateway.StartAsync(session => session.Fail(new InvalidDataException("a delta that is no object")));

        using var response = await gateway.Client.PostAsync(Requests.ChatPath, Requests.Json(Requests.WholeChat));

        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        Assert.Equal("stream_lost", (await ErrorAsync(response)).GetProperty("code").GetString());
    }

    [Theory]
    [InlineData(1, "1", "1")]
    [InlineData(999, "1", "999")]
    [InlineData(1000, "1", "1000")]
    [InlineData(1001, "2", "1001")]
    public async Task Post_RefusedForNow_TellsWhenToComeBackInSecondsRoundedUp(int milliseconds, string seconds, string exactly)
    {
        await using var gateway = await TestGateway.StartAsync(
            session => session.Fail(Fault.QueueFull, "full", TimeSpan.FromMilliseconds(milliseconds)));

        using var response = await gateway.Client.PostAsync(Requests.ChatPath, Requests.Json(Requests.WholeChat));

        Assert.Equal(seconds, response.Headers.GetValues("Retry-After").Single());
        Assert.Equal(exactly, response.Headers.GetValues("retry-after-ms").Single());
    }

    [Fact]
    public async Task Post_WrongMember_NamesItAsParam()
    {
        await using var gateway = await TestGateway.StartAsync();

        using var response = await gateway.Client.PostAsync(Requests.ChatPath, Requests.Json("""{"temperature": "hot"}"""));

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(
            """{"error":{"message":"temperature: \"hot\" is not a number; allowed: 0 to 2","type":"invalid_request_error","param":"temperature","code":"invalid_type"}}""",
            await response.Content.ReadAsStringAsync());
        Assert.Equal(RequestOutcomes.Refused, await gateway.Outcomes.NextAsync());
    }

    [Theory]
    [InlineData("text/plain")]
    [InlineData("text/plain; x=application/json")]
    [InlineData("multipart/form-data; boundary=a")]
    [InlineData("application/json, text/plain")]
    [InlineData("json")]
    [InlineData(null, "https://evil.example")]
    [InlineData("application/x-www-form-urlencoded", "https://evil.example")]
    [InlineData("application/x-www-form-urlencoded", null, "cross-site")]
    [InlineData("application/x-www-form-urlencoded", null, "same-origin")]
    public async Task Post_TypeThatAWebPageMaySendUnasked_StartsNothingAndSaysWhatToDo(string? type, string? origin = null, string? fetchSite = null)
    {
        await using var gateway = await TestGateway.StartAsync();
        foreach (var path in new[] { Requests.ChatPath, Requests.CompletionPath })
        {
            using var content = new ByteArrayContent(Encoding.UTF8.GetBytes(Requests.WholeChat));
            if (type is not null)
                content.Headers.TryAddWithoutValidation("Content-Type", type);
            using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = content };
            if (origin is not null)
                request.Headers.Add("Origin", origin);
            if (fetchSite is not null)
                request.Headers.Add("Sec-Fetch-Site", fetchSite);
            using var response = await gateway.Client.SendAsync(request);

            Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
            var error = await ErrorAsync(response);
            Assert.Equal("unsupported_media_type", error.GetProperty("code").GetString());
            Assert.Equal(
                $"content-type: {type ?? "missing"}; allowed: application/json (with curl: -H 'content-type: application/json')",
                error.GetProperty("message").GetString());
        }

        Assert.False(gateway.Sessions.HasStarted);
    }

    [Theory]
    [InlineData(null, null)]
    [InlineData("application/x-www-form-urlencoded", null)]
    [InlineData("application/x-www-form-urlencoded", "none")]
    [InlineData("Application/X-WWW-Form-URLEncoded; charset=utf-8", null)]
    public async Task Post_AsABareCurlSendsIt_IsReadAsJson(string? type, string? fetchSite)
    {
        await using var gateway = await TestGateway.StartAsync();
        using var content = new ByteArrayContent("{"u8.ToArray());
        if (type is not null)
            content.Headers.TryAddWithoutValidation("Content-Type", type);
        using var request = new HttpRequestMessage(HttpMethod.Post, Requests.ChatPath) { Content = content };
        if (fetchSite is not null)
            request.Headers.Add("Sec-Fetch-Site", fetchSite);
        using var response = await gateway.Client.SendAsync(request);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("invalid_json", (await ErrorAsync(response)).GetProperty("code").GetString());
    }

    [Theory]
    [InlineData("application/json")]
    [InlineData("application/json; charset=utf-8")]
    [InlineData("Application/JSON")]
    [InlineData("application/vnd.api+json")]
    public async Task Post_AnyJsonType_IsServed(string type)
    {
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            session.Push(Frames.Answer("a"));
            session.End();
        });
        using var content = new ByteArrayContent(Encoding.UTF8.GetBytes(Requests.WholeChat));
        content.Headers.TryAddWithoutValidation("Content-Type", type);

        using var response = await gateway.Client.PostAsync(Requests.ChatPath, content);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task Post_BodyThatStalls_Is408()
    {
        await using var gateway = await TestGateway.StartAsync();
        using var http = await RawHttp.PostAsync(gateway.Http1, Requests.ChatPath, "{", headers: "Content-Length: 50");

        var response = await http.ReadUntilAsync("}}");

        Assert.StartsWith("HTTP/1.1 408 ", response, StringComparison.Ordinal);
        Assert.Contains("\"the body came too slowly; allowed: at least 240 bytes a second, after the first 5 s\"", response, StringComparison.Ordinal);
        Assert.Contains("\"request_timeout\"", response, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Options_PreflightOfAWebPage_GetsNoConsent()
    {
        await using var gateway = await TestGateway.StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Options, Requests.ChatPath)
        {
            Headers = { { "Origin", "https://evil.example" }, { "Access-Control-Request-Method", "POST" }, { "Access-Control-Request-Headers", "content-type" } },
        };

        using var response = await gateway.Client.SendAsync(request);

        Assert.Equal(HttpStatusCode.MethodNotAllowed, response.StatusCode);
        Assert.DoesNotContain(response.Headers, header => header.Key.StartsWith("Access-Control", StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public async Task Post_BrokenChunkedEncoding_IsRefusedInTheSameShape()
    {
        await using var gateway = await TestGateway.StartAsync();
        using var http = await RawHttp.PostAsync(gateway.Http1, Requests.ChatPath, "nonsense\r\n", headers: "Transfer-Encoding: chunked");

        var response = await http.ReadUntilAsync("}}");

        Assert.StartsWith("HTTP/1.1 400 ", response, StringComparison.Ordinal);
        Assert.Contains("\"code\":\"bad_request\"", response, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("GET", "/v1/chat/completions", 405, "POST", "method_not_allowed")]
    [InlineData("DELETE", "/v1/completions", 405, "POST", "method_not_allowed")]
    [InlineData("POST", "/v1/models", 405, "GET, HEAD", "method_not_allowed")]
    [InlineData("POST", "/v1/nonsense/deep", 404, null, "unknown_url")]
    [InlineData("GET", "/v1", 404, null, "unknown_url")]
    public async Task Send_WrongPathOrMethod_IsRefusedInTheSameShape(string method, string path, int status, string? allow, string code)
    {
        await using var gateway = await TestGateway.StartAsync();
        using var request = new HttpRequestMessage(new HttpMethod(method), path);

        using var response = await gateway.Client.SendAsync(request);

        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal(code, (await ErrorAsync(response)).GetProperty("code").GetString());
        Assert.Equal(allow ?? "", string.Join(", ", response.Content.Headers.Allow));
        Assert.True(response.Headers.Contains(SkeinHeaders.RequestId));
    }

    [Theory]
    [InlineData("has space")]
    [InlineData("")]
    [InlineData("long")]
    public async Task Send_UnusableRequestId_GetsANewOne(string id)
    {
        await using var gateway = await TestGateway.StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/models");
        request.Headers.TryAddWithoutValidation(SkeinHeaders.RequestId, id == "long" ? new string('x', 129) : id);

        using var response = await gateway.Client.SendAsync(request);

        Assert.Matches("^[0-9a-f]{32}$", response.Headers.GetValues(SkeinHeaders.RequestId).Single());
    }

    [Fact]
    public async Task Get_Models_ListsTheCatalog()
    {
        await using var gateway = await TestGateway.StartAsync();

        Assert.Equal(
            """{"object":"list","data":[{"id":"tiny","object":"model","created":1700000000,"owned_by":"skein"},{"id":"org/big \"q\"","object":"model","created":1700000001,"owned_by":"vllm","max_model_len":512}]}""",
            await gateway.Client.GetStringAsync("/v1/models"));
    }

    [Fact]
    public async Task Post_AnyJson_NeverFailsTheGateway()
    {
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            session.Push(Frames.Start());
            for (uint choice = 0; choice < session.Request.N; choice++)
                session.Push(Frames.Token(0, "a", choice), Frames.Finish(1, choice));
            session.End();
        });
        var members = Gen.Select(Gen.OneOf(JsonTexts.KnownNames), JsonTexts.Likely, (name, value) => $"\"{name}\": {value}");
        var bodies = Gen.OneOf(JsonTexts.Any, members.Array[0, 4].Select(all => $"{{\"prompt\": \"x\", {string.Join(",", all)}}}"));

        await Gen.Select(bodies, Gen.OneOf(Requests.ChatPath, Requests.CompletionPath)).SampleAsync(
            async (body, path) =>
            {
                using var response = await gateway.Client.PostAsync(path, Requests.Json(body));
                await response.Content.ReadAsStringAsync();

                Assert.True((int)response.StatusCode < 500, $"{path} answered {(int)response.StatusCode} to {body}");
            },
            iter: 300);
    }

    internal static async Task<JsonElement> ErrorAsync(HttpResponseMessage response)
    {
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        return JsonElement.Parse(await response.Content.ReadAsStringAsync()).GetProperty("error");
    }
}
