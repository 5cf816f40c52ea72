using System.Net;
using System.Net.Http.Headers;
using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Skein.Protocol;

namespace Skein.Engines.OpenAiCompatible.Wire;

/// <summary>Calls of one server, each with its bounds. Everything that goes wrong is an <see cref="FaultException"/>. Thread-safe.</summary>
internal sealed class EngineHttp : IDisposable
{
    // The largest answer is llama.cpp's whole vocabulary: about 100 bytes a token.
    private const long MostAnswerBytes = 256L << 20;

    private readonly HttpClient _client;
    private readonly OpenAiEngineOptions _options;
    private readonly TimeProvider _time;

    public EngineHttp(OpenAiEngineOptions options, HttpMessageHandler handler, TimeProvider time)
    {
        (_options, _time) = (options, time);
        _client = new HttpClient(handler) { BaseAddress = RootOf(options.BaseUrl), Timeout = Timeout.InfiniteTimeSpan };
        // A connection per call: beside a generation it costs nothing, and a kept one may be closed by the server (llama.cpp does so after 100 requests,
        // unannounced) just as the next request is on its way.
        _client.DefaultRequestHeaders.ConnectionClose = true;
        if (options.ApiKey is { } key)
        {
            _client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        }
    }

    /// <summary>The server, for messages.</summary>
    public string Name => $"the engine at {_client.BaseAddress}";

    /// <summary>A GET whose answer may be missing: null for any status but 200, and for what is no JSON.</summary>
    /// <exception cref="FaultException">The server cannot be reached, does not answer in time, or is not ready (503).</exception>
    public async ValueTask<JsonElement?> FindAsync(string path, CancellationToken cancellationToken)
    {
        var (status, body) = await CallAsync(new HttpRequestMessage(HttpMethod.Get, path), cancellationToken);
        try
        {
            return status == HttpStatusCode.OK ? JsonElement.Parse(body) : status == HttpStatusCode.ServiceUnavailable || IsKeyRefused(status)
                ? throw EngineErrors.From(Name, status, body) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>A GET of a text; null for any status but 200.</summary>
    public async ValueTask<byte[]?> FindTextAsync(string path, CancellationToken cancellationToken)
    {
        var (status, body) = await CallAsync(new HttpRequestMessage(HttpMethod.Get, path), cancellationToken);
        return status == HttpStatusCode.OK ? body : null;
    }

    /// <summary>A POST; the answer's body.</summary>
    public async ValueTask<byte[]> PostAsync(string path, ReadOnlyMemory<byte> json, CancellationToken cancellationToken)
    {
        var (status, body) = await CallAsync(Post(path, json), cancellationToken);
        return status == HttpStatusCode.OK ? body : throw EngineErrors.From(Name, status, body);
    }

    /// <summary>A POST whose answer is JSON.</summary>
    public async ValueTask<JsonElement> AskAsync(string path, ReadOnlyMemory<byte> json, CancellationToken cancellationToken)
    {
        var body = await PostAsync(path, json, cancellationToken);
        try
        {
            return JsonElement.Parse(body);
        }
        catch (JsonException exception)
        {
            throw new FaultException(Fault.EngineFailed, $"{Name} answers {path} with something that is no JSON", exception);
        }
    }

    /// <summary>
    /// A POST whose answer is a stream of events, up to <c>[DONE]</c> or its end. Ending the enumeration early closes the connection: that is how
    /// an engine is told to stop.
    /// </summary>
    public async IAsyncEnumerable<JsonElement> StreamAsync(string path, ReadOnlyMemory<byte> json, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var silence = new CancellationTokenSource(_options.SilenceTimeout, _time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, silence.Token);
        var guard = new CallGuard(Name, _options.SilenceTimeout, cancellationToken);
        using var response = await guard.RunAsync(() => OpenAsync(path, json, linked.Token));
        await using var stream = await guard.RunAsync(() => response.Content.ReadAsStreamAsync(linked.Token));
        await using var events = SseParser.Create(stream, static (_, data) => Parse(data)).EnumerateAsync(linked.Token).GetAsyncEnumerator(linked.Token);
        while (await guard.RunAsync(() => events.MoveNextAsync().AsTask()) && events.Current.Data is { } data)
        {
            if (data.Member("error") is not null || data.Text("object") == "error")
            {
                throw EngineErrors.FromEvent(Name, data);
            }

            yield return data;
            silence.CancelAfter(_options.SilenceTimeout);
        }
    }

    public void Dispose() => _client.Dispose();

    // The path to the server may have a prefix; "/v1" is part of the calls.
    private static Uri RootOf(Uri url)
    {
        var path = url.AbsolutePath.TrimEnd('/');
        path = path.EndsWith("/v1", StringComparison.Ordinal) ? path[..^3] : path;
        return new Uri(url, path.TrimEnd('/') + "/");
    }

    private static bool IsKeyRefused(HttpStatusCode status) => status is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden;

    private static JsonElement? Parse(ReadOnlySpan<byte> data) => data.SequenceEqual("[DONE]"u8) ? null : JsonElement.Parse(data);

    private static HttpRequestMessage Post(string path, ReadOnlyMemory<byte> json) => new(HttpMethod.Post, path)
    {
        Content = new ReadOnlyMemoryContent(json) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } },
    };

    private async Task<HttpResponseMessage> OpenAsync(string path, ReadOnlyMemory<byte> json, CancellationToken cancellationToken)
    {
        using var request = Post(path, json);
        var response = await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        if (response.StatusCode == HttpStatusCode.OK)
        {
            return response;
        }

        using (response)
        {
            throw EngineErrors.From(Name, response.StatusCode, await response.Content.ReadAsByteArrayAsync(cancellationToken));
        }
    }

    private async ValueTask<(HttpStatusCode Status, byte[] Body)> CallAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(_options.CallTimeout, _time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, deadline.Token);
        return await new CallGuard(Name, _options.CallTimeout, cancellationToken).RunAsync(async () =>
        {
            using var sent = request;
            using var response = await _client.SendAsync(sent, HttpCompletionOption.ResponseHeadersRead, linked.Token);
            await response.Content.LoadIntoBufferAsync(MostAnswerBytes, linked.Token);
            return (response.StatusCode, await response.Content.ReadAsByteArrayAsync(linked.Token));
        });
    }
}
