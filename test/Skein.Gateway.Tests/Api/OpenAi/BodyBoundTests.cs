using System.Net;
using System.Text;
using System.Text.Json;
using Skein.Gateway.Api;
using Skein.Gateway.Api.Http;
using Skein.Protocol;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Api.OpenAi;

/// <summary>Large bodies are refused before they use up memory.</summary>
public class BodyBoundTests
{
    [Theory]
    [InlineData(true, "the body has 52428800 bytes; allowed: up to 33554432 bytes")]
    [InlineData(false, "the body has more than 33554432 bytes; allowed: up to 33554432 bytes")]
    public async Task Post_FiftyMegabytes_IsRefusedWithALengthAndWithout(bool withLength, string message)
    {
        await using var gateway = await TestGateway.StartAsync();
        using var content = new ByteArrayContent(new byte[50 << 20]) { Headers = { ContentType = new("application/json") } };
        using var request = new HttpRequestMessage(HttpMethod.Post, Requests.ChatPath) { Content = content };
        request.Headers.TransferEncodingChunked = !withLength;

        using var response = await gateway.Client.SendAsync(request);

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        Assert.Equal(message, (await ErrorAnswerTests.ErrorAsync(response)).GetProperty("message").GetString());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Post_BodyOfExactlyTheBound_IsServed(bool withLength)
    {
        await using var gateway = await TestGateway.StartAsync(
            session =>
            {
                session.Push(Frames.Answer("a"));
                session.End();
            },
            new ApiOptions { MaxBodyBytes = 100_000 });
        using var content = Requests.Json(Requests.WholeChat.PadRight(100_000));
        using var request = new HttpRequestMessage(HttpMethod.Post, Requests.ChatPath) { Content = content };
        request.Headers.TransferEncodingChunked = !withLength;

        using var response = await gateway.Client.SendAsync(request);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task Post_NoRoomForASession_IsRefusedBeforeItsBodyIsSent()
    {
        await using var gateway = await TestGateway.StartAsync();
        gateway.Sessions.Full = new FaultException(Fault.TooManySessions, "this gateway holds its bound of 3 sessions", retryAfter: TimeSpan.FromSeconds(2));

        using var sending = await RawHttp.PostAsync(gateway.Http1, Requests.ChatPath, "{", headers: "Content-Length: 150000");
        var refused = await sending.ReadUntilAsync("}}");

        Assert.StartsWith("HTTP/1.1 503 ", refused, StringComparison.Ordinal);
        Assert.Contains("this gateway holds its bound of 3 sessions", refused, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_BodiesHoldTheirBoundTogether_RefusesTheNextWhileItIsStillSent()
    {
        await using var gateway = await TestGateway.StartAsync(options: new ApiOptions { MaxBodyBytes = 150_000, MaxBodyMemoryBytes = 200_000 });
        var running = gateway.Client.PostAsync(Requests.ChatPath, Requests.Json(Requests.WholeChat.PadRight(100_000)));
        var session = await gateway.Sessions.StartedAsync();

        using var sending = await RawHttp.PostAsync(gateway.Http1, Requests.ChatPath, Requests.WholeChat.PadRight(100_000), headers: "Content-Length: 150000");
        var refused = await sending.ReadUntilAsync("}}");

        Assert.StartsWith("HTTP/1.1 503 ", refused, StringComparison.Ordinal);
        Assert.Contains("Retry-After: 1", refused, StringComparison.Ordinal);
        Assert.Contains("\"code\":\"too_many_sessions\"", refused, StringComparison.Ordinal);
        Assert.Contains("the bodies of all requests hold too much; allowed: 200000 bytes together", refused, StringComparison.Ordinal);

        session.Push(Frames.Answer("a"));
        session.End();
        (await running.Within()).Dispose();
        gateway.Sessions.Script = next =>
        {
            next.Push(Frames.Answer("b"));
            next.End();
        };
        // The body's memory is returned after the last byte of the answer.
        Assert.Equal(HttpStatusCode.OK, await Deadline.AskAsync(StatusAsync, static last => last != HttpStatusCode.ServiceUnavailable));

        async Task<HttpStatusCode> StatusAsync()
        {
            using var response = await gateway.Client.PostAsync(Requests.ChatPath, Requests.Json(Requests.WholeChat.PadRight(100_000)));
            return response.StatusCode;
        }
    }
}
