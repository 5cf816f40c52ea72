using System.Globalization;
using System.Net;
using Google.Protobuf;
using Skein.Engines.OpenAiCompatible;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>What servers answer instead of an answer, as recorded from them.</summary>
public class EngineErrorTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(400, """{"error":{"message":"temperature is wrong","type":"invalid_request_error"}}""", false, Fault.InvalidRequest)]
    [InlineData(400, """{"error":{"message":"temperature is wrong"}}""", true, Fault.ResumeRefused)]
    [InlineData(400, """{"object":"error","message":"This model's maximum context length is 10 tokens"}""", false, Fault.ContextLengthExceeded)]
    [InlineData(400, """{"error":{"message":"too long","code":"context_length_exceeded"}}""", false, Fault.ContextLengthExceeded)]
    [InlineData(404, """{"error":"model 'x' not found"}""", false, Fault.ModelNotFound)]
    [InlineData(404, """{"detail":"Not Found"}""", false, Fault.Unsupported)]
    [InlineData(409, """{"error":"conflict"}""", false, Fault.InvalidRequest)]
    [InlineData(413, "<html>too large</html>", false, Fault.InvalidRequest)]
    [InlineData(422, """{"detail":[{"msg":"field required"}]}""", false, Fault.InvalidRequest)]
    [InlineData(401, """{"error":"Unauthorized"}""", false, Fault.EngineKeyRefused)]
    [InlineData(403, "", false, Fault.EngineKeyRefused)]
    [InlineData(408, "", false, Fault.EngineFailed)]
    [InlineData(429, "slow down", false, Fault.EngineBusy)]
    [InlineData(500, """{"error":{"code":500,"message":"image input is not supported","type":"server_error"}}""", false, Fault.EngineFailed)]
    [InlineData(503, """{"error":{"message":"Loading model"}}""", false, Fault.EngineBusy)]
    [InlineData(200, """{"error":{"message":"CUDA out of memory"}}""", false, Fault.EngineFailed)]
    [InlineData(200, """{"error":{"message":"Invalid grammar specification","type":"BadRequestError","param":null,"code":400}}""", false, Fault.InvalidRequest)]
    [InlineData(200, """{"object":"error","message":"slow down","code":"429"}""", false, Fault.EngineBusy)]
    [InlineData(302, "", false, Fault.EngineFailed)]
    public async Task GenerateAsync_ServerRefuses_SaysWhyInOneLineWithoutItsAddress(int status, string body, bool isResumed, Fault fault)
    {
        var exception = await FailureAsync(Server(status, body), isResumed);

        Assert.Equal(fault, exception.Fault);
        Assert.StartsWith("the engine ", exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', exception.Message);
        Assert.DoesNotContain("fake.test", exception.Message, StringComparison.Ordinal);
        Assert.Contains("http://fake.test/", exception.InnerException!.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(
        400, """{"error":{"message":"temperature must be non-negative","type":"BadRequestError","param":"temperature","code":400}}""",
        400, "temperature must be non-negative", "BadRequestError", "temperature", "400", true)]
    [InlineData(
        404, """{"error":{"message":"The model 'nope' does not exist","type":"invalid_request_error","param":"model","code":"model_not_found"}}""",
        404, "The model 'nope' does not exist", "invalid_request_error", "model", "model_not_found", false)]
    [InlineData(
        400, """{"object":"error","message":"Messages cannot\nbe empty.","type":"BadRequestError","param":null,"code":400}""",
        400, "Messages cannot\nbe empty.", "BadRequestError", null, "400", true)]
    [InlineData(400, """{"error":"unknown field `x`"}""", 400, "unknown field `x`", null, null, null, false)]
    [InlineData(400, """{"message":"no"}""", 400, "no", null, null, null, false)]
    [InlineData(404, """{"detail":"Not Found"}""", 404, "Not Found", null, null, null, false)]
    [InlineData(
        422, """{"detail":[{"type":"missing","loc":["body","messages",0,"role"],"msg":"Field required"},{"loc":["body"],"msg":"bad"}]}""",
        422, "messages.0.role: Field required; bad", null, "messages.0.role", null, false)]
    [InlineData(500, """{"error":{"message":"","type":"internal_server_error","param":null,"code":null}}""",
        500, "the engine answers 500 without a message", "internal_server_error", null, null, false)]
    [InlineData(502, "<html><h1>502 Bad Gateway</h1></html>", 502, "the engine answers 502 without a message", null, null, null, false)]
    [InlineData(500, "out of memory", 500, "out of memory", null, null, null, false)]
    [InlineData(200, """{"error":{"message":"Invalid grammar","type":"BadRequestError","param":null,"code":400}}""",
        400, "Invalid grammar", "BadRequestError", null, "400", true)]
    [InlineData(200, """{"error":{"message":"Internal server error","type":"InternalServerError","param":null,"code":500}}""",
        500, "Internal server error", "InternalServerError", null, "500", true)]
    [InlineData(200, """{"error":"aborted"}""", 500, "aborted", null, null, null, false)]
    [InlineData(400, """{"error":{"message":"ask http://fake.test/v1 or fake.test:80, not 10.0.0.7:8000"}}""",
        400, "ask the engine/v1 or the engine, not the engine", null, null, null, false)]
    public async Task GenerateAsync_ServerRefuses_KeepsItsWords(
        int status, string body, int toldStatus, string message, string? type, string? param, string? code, bool isNumber)
    {
        var exception = await FailureAsync(Server(status, body), isResumed: false);

        Assert.Equal(new EngineError(toldStatus, message, type, param, code) { CodeIsNumber = isNumber }, exception.Engine);
    }

    [Theory]
    [InlineData(401, "sk-1234", "it refuses the gateway's key for it (status 401)")]
    [InlineData(403, "sk-1234", "it refuses the gateway's key for it (status 403)")]
    [InlineData(401, null, "it refuses requests without a key, and none is configured for it")]
    public async Task GenerateAsync_ServerRefusesTheKey_SaysSoWithoutItsWords(int status, string? key, string words)
    {
        var exception = await FailureAsync(Server(status, """{"error":{"message":"Incorrect API key provided: sk-1234"}}"""), isResumed: false, key);

        Assert.Null(exception.Engine);
        Assert.Equal($"the engine answers {status} at /v1/chat/completions: {words}", exception.Message);
        Assert.DoesNotContain("sk-1234", exception.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Retry-After", "7", 7_000)]
    [InlineData("retry-after-ms", "1500", 1_500)]
    [InlineData("Retry-After", "Mon, 01 Jan 2001 00:00:00 GMT", 0)]
    [InlineData("Retry-After", "999999999", 86_400_000)]
    [InlineData("retry-after-ms", "1e99", null)]
    [InlineData("Retry-After", "soon", null)]
    public async Task GenerateAsync_ServerIsBusy_KeepsItsRetryAfter(string header, string value, int? milliseconds)
    {
        var exception = await FailureAsync(Server(429, "{}", (header, value)), isResumed: false);

        Assert.Equal(milliseconds, (int?)exception.Engine!.RetryAfter?.TotalMilliseconds);
    }

    [Fact]
    public async Task GenerateAsync_RetryAfterIsADate_CountsFromNow()
    {
        var at = TimeProvider.System.GetUtcNow().AddSeconds(100).ToString("R", CultureInfo.InvariantCulture);

        var exception = await FailureAsync(Server(503, "{}", ("Retry-After", at)), isResumed: false);

        Assert.InRange(exception.Engine!.RetryAfter!.Value.TotalSeconds, 50, 100);
    }

    [Fact]
    public async Task GenerateAsync_EndlessError_IsCut()
    {
        var exception = await FailureAsync(Server(400, $$$"""{"error":{"message":"{{{new string('x', 9_000)}}}","code":"{{{new string('y', 900)}}}"}}"""), isResumed: false);

        Assert.Equal((4_096, 256), (exception.Engine!.Message.Length, exception.Engine.Code!.Length));
        Assert.InRange(exception.Message.Length, 400, 450);
    }

    [Fact]
    public async Task GenerateAsync_NobodyThere_TellsTheClientNoAddress()
    {
        var server = Server(200, "{}");
        await using var engine = await server.ConnectAsync();
        server.Unreachable = new HttpRequestException(
            HttpRequestError.ConnectionError, "Connection refused (fake.test:80)", new IOException("Connection refused 10.0.0.7:80"));

        var exception = await Assert.ThrowsAsync<FaultException>(() => ReadAsync(engine, isResumed: false));

        Assert.Equal((Fault.Unreachable, "the engine cannot be reached: Connection refused"), (exception.Fault, exception.Message));
    }

    private static FakeServer Server(int status, string body, params (string Name, string Value)[] headers) =>
        new FakeServer { Status = (HttpStatusCode)status, Headers = headers }
            .On("/api/version", """{"version":"0.13.0"}""")
            .On("/v1/models", """{"data":[{"id":"fake:1b"}]}""")
            .On("/v1/chat/completions", _ => [body]);

    private static async Task<FaultException> FailureAsync(FakeServer server, bool isResumed, string? key = null)
    {
        await using var engine = await server.ConnectAsync(options => options with { ApiKey = key });
        return await Assert.ThrowsAsync<FaultException>(() => ReadAsync(engine, isResumed));
    }

    private static async Task ReadAsync(IInferenceEngine engine, bool isResumed)
    {
        var request = new GenerateRequest
        {
            Chat = new ChatPrompt { Messages = ByteString.CopyFromUtf8("""[{"role":"user","content":"Hi"}]""") },
            Resume = isResumed ? new Resume { Text = ByteString.CopyFromUtf8("x"), NextIndex = 1 } : null,
        };
        await foreach (var frame in engine.GenerateAsync(request, Cancellation))
        {
            Assert.Null(frame.Finish);
        }
    }
}
