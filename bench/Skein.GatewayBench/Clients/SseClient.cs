using System.Buffers;
using System.Buffers.Text;
using System.Diagnostics;
using System.Net.Http.Headers;
using System.Text;
using Skein.GatewayBench.Processes;

namespace Skein.GatewayBench.Clients;

/// <summary>
/// Streams chat completions over HTTP/1.1, one connection per stream. Scans only the end of each read: a client that parsed every event
/// would take CPU time from the gateway.
/// </summary>
internal sealed class SseClient : ILoadClient
{
    // Holds the chunk with the usage and the end mark.
    private const int TailBytes = 1024;

    private readonly HttpClient _http;
    private readonly Uri _completions;
    private readonly string _model;

    public SseClient(Uri gateway, string model)
    {
        _completions = new Uri(gateway, "v1/chat/completions");
        _model = model;
        // Connections stay open while the other side is measured.
        _http = new HttpClient(new SocketsHttpHandler
        {
            UseProxy = false, UseCookies = false, ActivityHeadersPropagator = null, PooledConnectionIdleTimeout = TimeSpan.FromMinutes(5),
        }) { Timeout = Timeout.InfiniteTimeSpan };
    }

    public async Task<int> AskAsync(int stream, int tokens, LoadTimes times, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, _completions) { Content = new ByteArrayContent(Body(tokens)) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        var sent = Stopwatch.GetTimestamp();
        using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        if (!response.IsSuccessStatusCode)
        {
            var error = await response.Content.ReadAsStringAsync(cancellationToken);
            throw new HttpRequestException($"{_completions} answered {(int)response.StatusCode}: {error}");
        }

        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        var buffer = ArrayPool<byte>.Shared.Rent(16 << 10);
        try
        {
            var kept = 0;
            var hasToken = false;
            try
            {
                while (await body.ReadAsync(buffer.AsMemory(kept), cancellationToken) is > 0 and var read)
                {
                    var now = Stopwatch.GetTimestamp();
                    if (ScriptedServer.SentAt(buffer.AsSpan(kept, read)) is { } written)
                    {
                        LoadTimes.Record(times.Transit, Stopwatch.GetElapsedTime(written, now));
                        if (!hasToken)
                            LoadTimes.Record(times.FirstToken, Stopwatch.GetElapsedTime(sent, now));
                        hasToken = true;
                    }
                    var end = kept + read;
                    kept = Math.Min(end, TailBytes);
                    buffer.AsSpan(end - kept, kept).CopyTo(buffer);
                }
            }
            catch (IOException error)
            {
                throw new IOException($"{error.Message} The answer ends with: {Encoding.UTF8.GetString(buffer.AsSpan(0, kept))}", error);
            }
            return CompletionTokens(buffer.AsSpan(0, kept));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    public void Dispose() => _http.Dispose();

    private static int CompletionTokens(ReadOnlySpan<byte> tail)
    {
        var name = "\"completion_tokens\":"u8;
        var at = tail.LastIndexOf(name);
        return at >= 0 && tail.IndexOf("data: [DONE]"u8) > at && Utf8Parser.TryParse(tail[(at + name.Length)..], out int tokens, out _)
            ? tokens
            : throw new InvalidDataException($"the answer ends without usage and [DONE]: {Encoding.UTF8.GetString(tail)}");
    }

    private byte[] Body(int tokens) => Encoding.UTF8.GetBytes(
        $$"""{"stream":true,"stream_options":{"include_usage":true},"model":"{{_model}}","messages":{{Prompt.Messages}},"max_tokens":{{tokens}} }""");
}
