using System.Net;
using System.Text;

namespace Skein.Client.Tests;

/// <summary>Answers requests from a script, in order, without a socket.</summary>
internal sealed class ScriptedGateway : HttpMessageHandler
{
    private readonly Queue<Func<HttpResponseMessage>> _answers = [];

    /// <summary>The body and the retry header of each request.</summary>
    public List<(string Body, string? Retry)> Requests { get; } = [];

    public ScriptedGateway Then(Func<HttpResponseMessage> answer)
    {
        _answers.Enqueue(answer);
        return this;
    }

    public ScriptedGateway ThenRefuses(HttpStatusCode status, int? retryAfter) => Then(() =>
    {
        var response = new HttpResponseMessage(status)
        {
            Content = new StringContent("""{"error":{"message":"the queue is full","type":"rate_limit_error","code":"queue_full"}}""", Encoding.UTF8, "application/json"),
        };
        if (retryAfter is not null)
            response.Headers.Add("retry-after", $"{retryAfter}");
        return response;
    });

    /// <summary>A stream of these contents; then its end, or a broken connection.</summary>
    public ScriptedGateway ThenStreams(string[] contents, string? finish = "stop", bool breaks = false) => Then(() =>
    {
        var events = contents.Select(content => Chunk($$"""{"content":"{{content}}"}""", "null")).ToList();
        if (finish is not null)
            events.Add(Chunk("{}", $"\"{finish}\"") + "data: [DONE]\n\n");
        var stream = new BreakingStream(Encoding.UTF8.GetBytes(string.Concat(events)), breaks);
        return new HttpResponseMessage(HttpStatusCode.OK) { Content = new StreamContent(stream) { Headers = { { "content-type", "text/event-stream" } } } };
    });

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var body = request.Content is null ? "" : await request.Content.ReadAsStringAsync(cancellationToken);
        Requests.Add((body, request.Headers.TryGetValues("x-stainless-retry-count", out var retries) ? retries.Single() : null));
        return _answers.Dequeue()();
    }

    private static string Chunk(string delta, string finish) =>
        $$"""data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{{delta}},"finish_reason":{{finish}}}]}""" + "\n\n";

    private sealed class BreakingStream(byte[] bytes, bool breaks) : MemoryStream(bytes)
    {
        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var read = await base.ReadAsync(buffer, cancellationToken);
            return read == 0 && buffer.Length > 0 && breaks ? throw new HttpIOException(HttpRequestError.ResponseEnded, "the response ended prematurely") : read;
        }
    }
}
