using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Tests.Api.OpenAi;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Gateway.Tests.Api.PassThrough;

/// <summary>What the gateway reads of calls that it passes through, and what it makes of their ends.</summary>
public sealed class PassThroughApiTests
{
    private const string Path = "/v1/embeddings";

    [Theory]
    [InlineData("""{"model":"tiny","input":"a"}""", "tiny", "\"tiny\"")]
    [InlineData("""{"input":{"model":"x"},"model" : "org/\u0062ig" }""", "org/big", "\"org/\\u0062ig\"")]
    [InlineData("""{"input":"a","model":null}""", "", "")]
    [InlineData("\uFEFF{\"model\":\"tiny\"}", "tiny", "\"tiny\"")]
    public async Task Post_Json_FindsTheModelAndItsPlace(string body, string model, string inBody)
    {
        await using var gateway = await TestGateway.StartAsync();

        await gateway.Client.PostTextAsync(Path, body);

        var asked = Assert.Single(gateway.Calls.Asked);
        Assert.Equal((model, body, "POST", Path), (asked.Model, asked.Body.ToStringUtf8(), asked.Method, asked.Path));
        Assert.Equal(inBody, Encoding.UTF8.GetString(asked.Body.Span.Slice((int)asked.ModelOffset, (int)asked.ModelLength)));
        Assert.Equal("completed", await gateway.Outcomes.NextAsync());
    }

    [Theory]
    [InlineData("""{"model":5}""", "model", "invalid_type")]
    [InlineData("""{"model":""}""", "model", "invalid_value")]
    [InlineData("""{"model":"a","model":"b"}""", "model", "invalid_value")]
    [InlineData("""{"model":"a\nb"}""", "model", "invalid_value")]
    [InlineData("""{"model":"a"} x""", null, "invalid_json")]
    [InlineData("[1]", null, "invalid_json")]
    public async Task Post_WrongJson_IsRefusedByName(string body, string? param, string code)
    {
        await using var gateway = await TestGateway.StartAsync();

        using var response = await gateway.Client.PostAsync(Path, Requests.Json(body));

        var error = JsonElement.Parse(await response.Content.ReadAsStringAsync()).GetProperty("error");
        Assert.Equal(
            (HttpStatusCode.BadRequest, param, code), (response.StatusCode, error.GetProperty("param").GetString(), error.GetProperty("code").GetString()));
        Assert.Empty(gateway.Calls.Asked);
    }

    [Fact]
    public async Task Post_Form_FindsTheModelAndItsPlace()
    {
        await using var gateway = await TestGateway.StartAsync();
        using var form = new MultipartFormDataContent
        {
            { new ByteArrayContent([0, 13, 10, 45, 45]), "file", "model.wav" }, { new StringContent("org/big"), "model" },
        };

        using var response = await gateway.Client.PostAsync("/v1/audio/transcriptions", form);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var asked = Assert.Single(gateway.Calls.Asked);
        Assert.Equal("org/big", asked.Model);
        Assert.Equal("org/big", Encoding.UTF8.GetString(asked.Body.Span.Slice((int)asked.ModelOffset, (int)asked.ModelLength)));
        Assert.Equal(form.Headers.ContentType!.ToString(), asked.ContentType);
    }

    [Theory]
    [InlineData("multipart/form-data", "x")]
    [InlineData("multipart/form-data; boundary=b", "--c\r\n\r\n")]
    [InlineData("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"model\"")]
    [InlineData("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nx")]
    public async Task Post_BrokenForm_IsRefused(string type, string body)
    {
        await using var gateway = await TestGateway.StartAsync();
        using var content = new StringContent(body);
        content.Headers.Remove("Content-Type");
        content.Headers.TryAddWithoutValidation("Content-Type", type);

        using var response = await gateway.Client.PostAsync("/v1/audio/transcriptions", content);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("invalid_form", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    /// <summary>A page may send a form across origins without asking the gateway first.</summary>
    [Theory]
    [InlineData("https://evil.example", HttpStatusCode.Forbidden)]
    [InlineData("https://chat.example", HttpStatusCode.OK)]
    public async Task Post_FormOfAPage_IsServedForConfiguredOriginsOnly(string origin, HttpStatusCode status)
    {
        await using var gateway = await TestGateway.StartAsync(options: new ApiOptions { CorsOrigins = ["https://chat.example"] });
        using var request = new HttpRequestMessage(HttpMethod.Post, Path) { Content = new StringContent("{}", Encoding.UTF8, "text/plain"), Headers = { { "Origin", origin } } };

        using var response = await gateway.Client.SendAsync(request);

        Assert.Equal(status, response.StatusCode);
    }

    [Fact]
    public async Task Post_Answer_KeepsStatusTypeDispositionAndLength()
    {
        await using var gateway = await TestGateway.StartAsync();
        gateway.Calls.Start = new InvokeStart { Status = 201, ContentType = "audio/mpeg; a=b", ContentDisposition = "attachment; filename=a.mp3", ContentLength = 3 };
        gateway.Calls.Body = "abc";

        using var response = await gateway.Client.PostAsync(Path, Requests.Json("{}"));

        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        Assert.Equal(
            ("audio/mpeg; a=b", "attachment; filename=a.mp3", 3L),
            (response.Content.Headers.ContentType?.ToString(), response.Content.Headers.ContentDisposition?.ToString(), response.Content.Headers.ContentLength));
        Assert.Equal("replica-1", response.Headers.GetValues(SkeinHeaders.Replica).Single());
    }

    /// <summary>What a server says may not become a header of its own, or stop the gateway.</summary>
    [Fact]
    public async Task Post_AnswerWithAHostileHead_IsSentWithoutIt()
    {
        await using var gateway = await TestGateway.StartAsync();
        gateway.Calls.Start = new InvokeStart { Status = 200, ContentType = "a\r\nx-evil: 1", ContentDisposition = new string('x', 5000) };

        using var response = await gateway.Client.PostAsync(Path, Requests.Json("{}"));

        Assert.Equal("{}", await response.Content.ReadAsStringAsync());
        Assert.Null(response.Content.Headers.ContentType);
        Assert.Null(response.Content.Headers.ContentDisposition);
    }

    [Fact]
    public async Task Post_NoAnswer_HasTheStatusOfTheFault()
    {
        await using var gateway = await TestGateway.StartAsync();
        gateway.Calls.Refusal = new FaultException(Fault.QueueFull, "busy");

        using var response = await gateway.Client.PostAsync(Path, Requests.Json("{}"));

        Assert.Equal(HttpStatusCode.TooManyRequests, response.StatusCode);
        Assert.Equal("queue_full", await gateway.Outcomes.NextAsync());
    }

    [Fact]
    public async Task Post_AnswerThatIsLost_FailsTheResponse()
    {
        await using var gateway = await TestGateway.StartAsync();
        gateway.Calls.Loss = new FaultException(Fault.ConnectionLost, "reset");
        using var http = await RawHttp.PostAsync(gateway.Http1, Path, "{}");

        var (chunks, isTerminated) = RawHttp.Dechunk(await http.ReadToEndAsync());

        Assert.Equal(("{}", false), (string.Concat(chunks), isTerminated));
        Assert.Equal("stream_lost", await gateway.Outcomes.NextAsync());
    }

    [Theory]
    [InlineData("/v1/load_lora_adapter")]
    [InlineData("/slots/0")]
    [InlineData("/api/delete")]
    [InlineData("/v1/../sleep")]
    [InlineData("/v1/%2e%2e/sleep")]
    [InlineData("/v1//sleep")]
    [InlineData("sleep")]
    [InlineData("/v1/chat/completions")]
    [InlineData("/v1/Completions")]
    [InlineData("/V1/messages/COUNT_TOKENS")]
    [InlineData("/chat/completions")]
    [InlineData("/Models/x")]
    [InlineData("/Health")]
    [InlineData("/reset_prefix_cache")]
    [InlineData("/Update_Weights_From_Disk")]
    [InlineData("/v1/template/switch")]
    [InlineData("/v1/loras/x")]
    [InlineData("/quit")]
    [InlineData("/profile")]
    [InlineData("/start-profile")]
    [InlineData("/v1/files/x")]
    [InlineData("/v1/download")]
    [InlineData("/v1/internal/model/download-file")]
    [InlineData("/models/apply")]
    [InlineData("/v1/batches")]
    [InlineData("/terminate")]
    public async Task Start_PathThatMayNotBePassedThrough_IsRefused(string path)
    {
        var error = await Assert.ThrowsAsync<ArgumentException>(() => TestGateway.StartAsync(options: new ApiOptions { PassThrough = [path] }));

        Assert.Contains(path, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_PathsOfTheGateway_AreAllRefused()
    {
        await using var gateway = await TestGateway.StartAsync();

        var own = gateway.Services.GetRequiredService<ApiPaths>().All.Select(path => path.Pattern.Split('{')[0]).Except(EnginePaths.Default).ToList();

        Assert.Contains("/v1/messages/count_tokens", own);
        Assert.All(own, path => Assert.False(ApiOptions.IsPassThrough(path.ToUpperInvariant()), path));
    }

    /// <summary>Paths are matched without regard to case: two that differ only by it made every call of them fail.</summary>
    [Fact]
    public async Task Start_SamePathInOtherCases_IsServedOnce()
    {
        await using var gateway = await TestGateway.StartAsync(options: new ApiOptions { PassThrough = ["/V1/Embeddings", "/v1/voices", "/v1/Voices"] });

        foreach (var path in (string[])["/v1/embeddings", "/v1/voices"])
        {
            using var response = await gateway.Client.PostAsync(path, Requests.Json("{}"));
            Assert.NotEqual(HttpStatusCode.InternalServerError, response.StatusCode);
        }
    }

    [Fact]
    public void Default_EveryPath_IsAllowed() => Assert.All(EnginePaths.Default, path => Assert.True(EnginePaths.IsAllowed(path)));
}
