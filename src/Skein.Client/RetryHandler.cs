using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using Microsoft.Extensions.Http.Resilience;
using Polly;
using Polly.Retry;

namespace Skein.Client;

/// <summary>Sends a refused request again when the gateway says so, and one whose connection was refused after a short pause.</summary>
internal static class RetryHandler
{
    /// <summary>The header by which the gateway knows clients that come back; official SDKs send it too.</summary>
    private const string RetryCount = "x-stainless-retry-count";

    private const int MostRetries = 20;
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(2);
    private static readonly ResiliencePropertyKey<TimeSpan> Waited = new("skein.waited");

    /// <param name="inner">Sends the requests.</param>
    public static HttpMessageHandler Create(SkeinClientOptions options, HttpMessageHandler inner, TimeProvider time)
    {
        var pipeline = new ResiliencePipelineBuilder<HttpResponseMessage> { TimeProvider = time };
        pipeline.AddRetry(new RetryStrategyOptions<HttpResponseMessage>
        {
            MaxRetryAttempts = MostRetries,
            ShouldHandle = attempt => ValueTask.FromResult(
                options.MaxWait > TimeSpan.Zero && PauseAfter(attempt.Outcome, attempt.AttemptNumber, time) is { } pause
                && attempt.Context.Properties.GetValue(Waited, TimeSpan.Zero) + pause <= options.MaxWait),
            DelayGenerator = attempt => ValueTask.FromResult(PauseAfter(attempt.Outcome, attempt.AttemptNumber, time)),
            OnRetry = attempt =>
            {
                attempt.Context.Properties.Set(Waited, attempt.Context.Properties.GetValue(Waited, TimeSpan.Zero) + attempt.RetryDelay);
                if (attempt.Context.GetRequestMessage() is { } request)
                {
                    request.Headers.Remove(RetryCount);
                    request.Headers.Add(RetryCount, (attempt.AttemptNumber + 1).ToString(CultureInfo.InvariantCulture));
                }
                return ValueTask.CompletedTask;
            },
        });
        return new BufferedBody { InnerHandler = new ResilienceHandler(pipeline.Build()) { InnerHandler = inner } };
    }

    /// <summary>When to try again; null: not at all.</summary>
    private static TimeSpan? PauseAfter(Outcome<HttpResponseMessage> outcome, int attempt, TimeProvider time) => outcome switch
    {
        { Result: { StatusCode: HttpStatusCode.TooManyRequests or HttpStatusCode.ServiceUnavailable, Headers.RetryAfter: { } after } } => PauseOf(after, time),
        { Exception: HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError } } => Shorter(FirstPause * Math.Pow(2, attempt), LongestPause),
        _ => null,
    };

    private static TimeSpan PauseOf(RetryConditionHeaderValue after, TimeProvider time)
    {
        var pause = after.Delta ?? after.Date - time.GetUtcNow() ?? TimeSpan.Zero;
        return pause > TimeSpan.Zero ? pause : TimeSpan.Zero;
    }

    private static TimeSpan Shorter(TimeSpan one, TimeSpan other) => one < other ? one : other;

    /// <summary>Keeps the body, so that it can be sent again.</summary>
    private sealed class BufferedBody : DelegatingHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            if (request.Content is not null)
                await request.Content.LoadIntoBufferAsync(cancellationToken);
            return await base.SendAsync(request, cancellationToken);
        }
    }
}
