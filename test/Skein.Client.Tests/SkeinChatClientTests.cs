using System.ClientModel;
using System.Net;
using System.Text;
using Microsoft.Extensions.AI;

namespace Skein.Client.Tests;

public sealed class SkeinChatClientTests : IDisposable
{
    private readonly ScriptedGateway _gateway = new();
    private readonly ImmediateTime _time = new();

    public void Dispose() => _gateway.Dispose();

    [Fact]
    public async Task Stream_WholeAnswer_IsItsText()
    {
        _gateway.ThenStreams(["Once", " upon"]);

        Assert.Equal("Once upon", await StreamAsync());
    }

    /// <summary>The OpenAI client ends such a stream as if it were whole.</summary>
    [Fact]
    public async Task Stream_EndsWithoutAFinish_IsTruncated()
    {
        _gateway.ThenStreams(["Once", " upon"], finish: null);

        var truncated = await Assert.ThrowsAsync<AnswerTruncatedException>(StreamAsync);

        Assert.Equal("Once upon", truncated.Received);
    }

    [Fact]
    public async Task Stream_Breaks_IsTruncatedAndNotSentAgain()
    {
        _gateway.ThenStreams(["Once"], finish: null, breaks: true);

        var truncated = await Assert.ThrowsAsync<AnswerTruncatedException>(StreamAsync);

        Assert.Equal("Once", truncated.Received);
        Assert.NotNull(truncated.InnerException);
        Assert.Single(_gateway.Requests);
    }

    [Fact]
    public async Task Response_WithoutAFinish_IsTruncated()
    {
        _gateway.Then(() => new HttpResponseMessage(HttpStatusCode.OK)
        {
            Content = new StringContent(
                """{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Once"},"finish_reason":null}]}""",
                Encoding.UTF8, "application/json"),
        });
        using var client = Client();

        await Assert.ThrowsAnyAsync<Exception>(() => client.GetResponseAsync("Hi", cancellationToken: TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData(HttpStatusCode.TooManyRequests)]
    [InlineData(HttpStatusCode.ServiceUnavailable)]
    public async Task Stream_RefusedWithRetryAfter_ComesBackThenWithItsNumberAndTheSameBody(HttpStatusCode status)
    {
        _gateway.ThenRefuses(status, retryAfter: 7).ThenRefuses(status, retryAfter: 2).ThenStreams(["Once"]);

        Assert.Equal("Once", await StreamAsync());
        Assert.Equal([null, "1", "2"], _gateway.Requests.Select(request => request.Retry));
        Assert.Single(_gateway.Requests.Select(request => request.Body).Distinct());
        Assert.Equal([TimeSpan.FromSeconds(7), TimeSpan.FromSeconds(2)], _time.Waits);
    }

    [Fact]
    public async Task Stream_RetryAfterIsBeyondMaxWait_FailsAtOnce()
    {
        _gateway.ThenRefuses(HttpStatusCode.TooManyRequests, retryAfter: 61);

        var refused = await Assert.ThrowsAsync<ClientResultException>(StreamAsync);

        Assert.Equal(429, refused.Status);
        Assert.Single(_gateway.Requests);
    }

    [Theory]
    [InlineData(HttpStatusCode.BadRequest, 1)]
    [InlineData(HttpStatusCode.TooManyRequests, null)]
    [InlineData(HttpStatusCode.InternalServerError, 1)]
    public async Task Stream_OtherRefusal_IsNotSentAgain(HttpStatusCode status, int? retryAfter)
    {
        _gateway.ThenRefuses(status, retryAfter);

        await Assert.ThrowsAsync<ClientResultException>(StreamAsync);

        Assert.Single(_gateway.Requests);
    }

    /// <summary>With <c>Retry-After: 0</c> it was sent 21 times.</summary>
    [Fact]
    public async Task Stream_MaxWaitIsZero_IsNotSentAgain()
    {
        _gateway.ThenRefuses(HttpStatusCode.TooManyRequests, retryAfter: 0);

        await Assert.ThrowsAsync<ClientResultException>(() => StreamAsync(TimeSpan.Zero));

        Assert.Single(_gateway.Requests);
    }

    [Fact]
    public async Task Stream_ConnectionIsRefused_IsSentAgainAndGivesUpAfterMaxWait()
    {
        for (var i = 0; i < 40; i++)
            _gateway.Then(() => throw new HttpRequestException(HttpRequestError.ConnectionError, "connection refused"));

        await Assert.ThrowsAnyAsync<Exception>(() => StreamAsync(TimeSpan.FromSeconds(5)));

        Assert.Equal([0.2, 0.4, 0.8, 1.6, 2], _time.Waits.Select(wait => wait.TotalSeconds));
        Assert.Equal(6, _gateway.Requests.Count);
    }

    [Theory]
    [InlineData("ftp://host/", "m", 1, "Endpoint")]
    [InlineData("http://host/", " ", 1, "Model")]
    [InlineData("http://host/", "m", -1, "MaxWait")]
    [InlineData("http://host/", "m", 3601, "MaxWait")]
    public void Create_WrongOption_IsNamed(string endpoint, string model, int maxWait, string name)
    {
        var options = new SkeinClientOptions { Endpoint = new Uri(endpoint), Model = model, MaxWait = TimeSpan.FromSeconds(maxWait) };

        Assert.StartsWith($"{name} is ", Assert.Throws<ArgumentException>(() => new SkeinChatClient(options)).Message, StringComparison.Ordinal);
    }

    private SkeinChatClient Client(TimeSpan? maxWait = null) => new(
        new SkeinClientOptions { Endpoint = new Uri("http://gateway/v1"), Model = "m", MaxWait = maxWait ?? TimeSpan.FromSeconds(60) }, _gateway, _time);

    private Task<string> StreamAsync() => StreamAsync(maxWait: null);

    private async Task<string> StreamAsync(TimeSpan? maxWait)
    {
        using var client = Client(maxWait);
        var text = new StringBuilder();
        await foreach (var update in client.GetStreamingResponseAsync("Hi", cancellationToken: TestContext.Current.CancellationToken))
            text.Append(update.Text);
        return text.ToString();
    }
}
