using System.Buffers;
using System.Globalization;
using System.Net;
using System.Text;
using Skein.Gateway.Api;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Tests.Api.OpenAi;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Api.Http;

/// <summary>A dialect that is not OpenAI's gets everything from <c>Api/Http</c> and decides only on formats.</summary>
public sealed class DialectTests
{
    [Fact]
    public async Task Post_Stream_WritesTheDialectsEvents()
    {
        await using var gateway = await StartAsync(session =>
        {
            session.Push(Frames.Answer("a", "b"));
            session.Failovers = [new(0, 1, "replica-2", "stall")];
            session.End();
        });

        Assert.Equal(
            "event: a\n\nevent: b\n\n: skein failovers=1 attempts=1 [token 1: replica-2 lost (stall)]\nevent: end\n\n",
            await gateway.Client.PostTextAsync("/v1/toy", "stream x"));
        Assert.Equal("x", (await gateway.Sessions.StartedAsync()).Request.Text);
        Assert.Equal("completed", await gateway.Outcomes.NextAsync());
    }

    [Fact]
    public async Task Post_Whole_WritesTheDialectsAnswer()
    {
        await using var gateway = await StartAsync(session =>
        {
            session.Push(Frames.Answer("a", "b"));
            session.End();
        });

        Assert.Equal("whole ab", await gateway.Client.PostTextAsync("/v1/toy", "whole x"));
    }

    [Theory]
    [InlineData("refuse", HttpStatusCode.BadRequest, "error 400 invalid_value kind")]
    [InlineData("whole x", HttpStatusCode.TooManyRequests, "error 429 queue_full ")]
    [InlineData("stream x", HttpStatusCode.TooManyRequests, "error 429 queue_full ")]
    public async Task Post_ErrorBeforeTheFirstToken_HasItsStatusAndTheDialectsBody(string body, HttpStatusCode status, string error)
    {
        await using var gateway = await StartAsync(session => session.Fail(Fault.QueueFull, "busy"));
        using var response = await gateway.Client.PostAsync("/v1/toy", Requests.Json(body));

        Assert.Equal(status, response.StatusCode);
        Assert.Equal(error, await response.Content.ReadAsStringAsync());
        Assert.NotEmpty(response.Headers.GetValues(SkeinHeaders.RequestId));
    }

    [Fact]
    public async Task Post_StreamLostAfterTheFirstToken_EndsWithTheDialectsErrorEvent()
    {
        await using var gateway = await StartAsync(session =>
        {
            session.Push(Frames.Start(), Frames.Token(0, "a"));
            session.Fail(Fault.StreamLost, "lost");
        });
        using var http = await RawHttp.PostAsync(gateway.Http1, "/v1/toy", "stream x");

        var (chunks, isTerminated) = RawHttp.Dechunk(await http.ReadToEndAsync());

        Assert.False(isTerminated);
        Assert.Equal("event: a\n\nevent: error 502 stream_lost \n\n", string.Concat(chunks));
    }

    [Fact]
    public async Task Get_PathOfAPost_SaysInTheDialectsFormatWhatIsAllowed()
    {
        await using var gateway = await StartAsync(_ => { });

        using var wrongMethod = await gateway.Client.GetAsync("/v1/toy");
        using var unknown = await gateway.Client.GetAsync("/v1/other");

        Assert.Equal((HttpStatusCode.MethodNotAllowed, "POST"), (wrongMethod.StatusCode, wrongMethod.Content.Headers.Allow.Single()));
        Assert.Equal("error 405 method_not_allowed ", await wrongMethod.Content.ReadAsStringAsync());
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
        Assert.Contains("allowed: /v1/toy\"", await unknown.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    private static Task<TestGateway> StartAsync(Action<ScriptedSession> script) =>
        TestGateway.StartAsync(script, map: endpoints => endpoints.MapDialects([new Toy()]));

    private sealed class Toy : IApiDialect, IGenerationApi
    {
        public string Name => "toy";

        public string Operation => "text_completion";

        public void Map(ApiRoutes routes) => routes.MapGeneration("/v1/toy", this);

        public void WriteError(ApiError error, IBufferWriter<byte> output) =>
            Append(output, string.Create(CultureInfo.InvariantCulture, $"error {error.Status} {error.Code} {error.Param}"));

        public ApiRequest Read(ReadOnlyMemory<byte> body, DateTimeOffset now)
        {
            var words = Encoding.UTF8.GetString(body.Span).Split(' ');
            if (words is not [("stream" or "whole") and var kind, var prompt])
                throw RequestRefusedException.Invalid("kind", "is unknown");
            return new ApiRequest(new GenerateRequest { N = 1, Text = prompt }, _ => kind == "stream" ? new Events(this) : new Whole());
        }

        public static void Append(IBufferWriter<byte> output, string text) => output.Write(Encoding.UTF8.GetBytes(text));
    }

    private sealed class Events(Toy toy) : IEventWriter
    {
        public void Write(GenerateFrame frame, IBufferWriter<byte> output)
        {
            if (!frame.Text.IsEmpty)
                Toy.Append(output, $"event: {frame.Text.ToStringUtf8()}\n\n");
        }

        public void Complete(IBufferWriter<byte> output, string? comment) => Toy.Append(output, $"{comment}event: end\n\n");

        public void KeepAlive(IBufferWriter<byte> output, ReadOnlySpan<byte> comment) => Toy.Append(output, $"{Encoding.UTF8.GetString(comment)}event: none\n\n");

        public void Fail(ApiError error, IBufferWriter<byte> output)
        {
            Toy.Append(output, "event: ");
            toy.WriteError(error, output);
            Toy.Append(output, "\n\n");
        }
    }

    private sealed class Whole : IAnswerWriter
    {
        private string _text = "";

        public void Write(GenerateFrame frame, IBufferWriter<byte> output) => _text += frame.Text.ToStringUtf8();

        public void Complete(IBufferWriter<byte> output, string? comment) => Toy.Append(output, $"whole {_text}{comment}");

        public void KeepAlive(IBufferWriter<byte> output, ReadOnlySpan<byte> comment) => throw new NotSupportedException();
    }
}
