using System.Globalization;
using System.Net;
using Skein.Load.Measuring;

namespace Skein.Load.Replay;

/// <summary>A request of a replay. Immutable.</summary>
/// <param name="At">When it is sent, from the begin of the replay.</param>
/// <param name="PromptBytes">Length of its prompt, in ASCII characters.</param>
/// <param name="AnswerTokens">Its <c>max_tokens</c>.</param>
/// <param name="Target">Number of the gateway that it is sent to, from 0.</param>
public sealed record ReplayRequest(TimeSpan At, int PromptBytes, int AnswerTokens, int Target);

/// <summary>What the client of one request saw. Times are from its sending.</summary>
/// <param name="LateBy">How much later than planned it was sent.</param>
/// <param name="Error">Why it failed; null if it did not.</param>
public sealed record ReplayedRequest(TimeSpan LateBy, TimeSpan FirstToken, TimeSpan End, string? Error);

/// <summary>Sends requests to gateways at stated times, whatever becomes of those before (open loop), and measures their streams.</summary>
public static class TraceReplay
{
    /// <summary>Most requests of one replay.</summary>
    public const int MostRequests = 100_000;

    private const int MaxLineBytes = 1 << 20;
    private static readonly TimeSpan Slack = TimeSpan.FromMinutes(2);

    /// <param name="gateways">Where they serve HTTP.</param>
    /// <param name="model">Name of the model.</param>
    /// <param name="requests">In the order of their times.</param>
    /// <returns>In the same order; and the gaps between tokens of all streams.</returns>
    /// <exception cref="OperationCanceledException">Cancelled, or the requests did not end within 2 minutes after the last one was sent.</exception>
    public static async Task<(IReadOnlyList<ReplayedRequest> Requests, LatencySummary Gaps)> RunAsync(
        IReadOnlyList<Uri> gateways, string model, IReadOnlyList<ReplayRequest> requests, TimeProvider time, CancellationToken cancellationToken)
    {
        if (requests.Count is 0 or > MostRequests)
            throw new ArgumentException($"{requests.Count} requests; allowed: 1 to {MostRequests}");
        using var handler = new SocketsHttpHandler { ConnectTimeout = TimeSpan.FromSeconds(10), AutomaticDecompression = DecompressionMethods.None };
        using var http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
        using var deadline = new CancellationTokenSource(requests[^1].At + Slack, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        var gaps = new LatencyHistogram();
        var begun = time.GetTimestamp();
        var running = new Task<ReplayedRequest>[requests.Count];
        for (var i = 0; i < running.Length; i++)
        {
            var request = requests[i];
            var wait = request.At - time.GetElapsedTime(begun);
            if (wait > TimeSpan.Zero)
                await Task.Delay(wait, time, either.Token);
            var lateBy = time.GetElapsedTime(begun) - request.At;
            running[i] = AskAsync(http, new Uri(gateways[request.Target], "v1/completions"), model, request, lateBy, gaps, time, either.Token);
        }
        return (await Task.WhenAll(running), gaps.Summary);
    }

    private static async Task<ReplayedRequest> AskAsync(
        HttpClient http, Uri url, string model, ReplayRequest request, TimeSpan lateBy, LatencyHistogram gaps, TimeProvider time,
        CancellationToken cancellationToken)
    {
        await Task.Yield();
        var sent = time.GetTimestamp();
        var first = TimeSpan.Zero;
        try
        {
            using var message = new HttpRequestMessage(HttpMethod.Post, url) { Content = BodyOf(model, request) };
            using var response = await http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            if (!response.IsSuccessStatusCode)
                return new ReplayedRequest(lateBy, first, time.GetElapsedTime(sent), $"status {(int)response.StatusCode}");
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(cancellationToken), Encoding.UTF8);
            var last = sent;
            var isDone = false;
            while (await reader.ReadLineAsync(cancellationToken) is { } line)
            {
                if (line.Length > MaxLineBytes || line.Contains("\"error\":", StringComparison.Ordinal))
                    return new ReplayedRequest(lateBy, first, time.GetElapsedTime(sent), "error in the stream");
                isDone |= line == "data: [DONE]";
                if (!line.Contains("\"text\":\"", StringComparison.Ordinal) || line.Contains("\"text\":\"\"", StringComparison.Ordinal))
                    continue;
                var now = time.GetTimestamp();
                if (first == TimeSpan.Zero)
                    first = time.GetElapsedTime(sent, now);
                else
                    gaps.Add(time.GetElapsedTime(last, now));
                last = now;
            }
            // The end is the last token, as in the lab: what follows it is not part of the answer.
            return new ReplayedRequest(lateBy, first, time.GetElapsedTime(sent, last), isDone && first > TimeSpan.Zero ? null : "truncated");
        }
        catch (Exception error) when (error is HttpRequestException or IOException)
        {
            return new ReplayedRequest(lateBy, first, time.GetElapsedTime(sent), error.GetBaseException().GetType().Name);
        }
    }

    private static StringContent BodyOf(string model, ReplayRequest request) => new(
        string.Create(
            CultureInfo.InvariantCulture,
            $$"""
            {"model":{{JsonSerializer.Serialize(model)}},"prompt":"{{new string('x', request.PromptBytes)}}",
            "max_tokens":{{request.AnswerTokens}},"stream":true}
            """),
        Encoding.UTF8,
        "application/json");
}
