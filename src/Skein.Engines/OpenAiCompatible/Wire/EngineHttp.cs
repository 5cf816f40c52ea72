using System.Net;
using System.Net.Http.Headers;
using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Skein.Protocol;

namespace Skein.Engines.OpenAiCompatible.Wire;

/// <summary>Calls of one server, each with its timeout. Every failure is an <see cref="FaultException"/>. Thread-safe.</summary>
internal sealed class EngineHttp : IDisposable
{
    // The largest answer is llama.cpp's whole vocabulary: about 100 bytes a token.
    private const long MaxAnswerBytes = 256L << 20;

    private readonly HttpClient _client;
    private readonly OpenAiEngineOptions _options;
    private readonly TimeProvider _time;

    public EngineHttp(OpenAiEngineOptions options, HttpMessageHandler handler, TimeProvider time)
    {
        (_options, _time) = (options, time);
        _client = new HttpClient(handler) { BaseAddress = RootOf(options.BaseUrl), Timeout = Timeout.InfiniteTimeSpan };
        Name = $"the engine at {_client.BaseAddress}";
        if (options.ApiKey is { } key)
        {
            _client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        }
    }

    /// <summary>The server, for messages.</summary>
    public string Name { get; }

    /// <summary>A GET whose answer may be missing: null for any status but 200, and for a body that is not JSON.</summary>
    /// <exception cref="FaultException">The server cannot be reached, does not answer in time, is not ready (503), or refuses the key.</exception>
    public async ValueTask<JsonElement?> FindAsync(string path, CancellationToken cancellationToken)
    {
        var (status, body) = await CallAsync(new HttpRequestMessage(HttpMethod.Get, path), cancellationToken);
        if (status is HttpStatusCode.ServiceUnavailable or HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden)
        {
            throw EngineErrors.From(Name, status, body);
        }

        try
        {
            return status == HttpStatusCode.OK ? JsonElement.Parse(body) : null;
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
            throw new FaultException(Fault.EngineFailed, $"{Name} answers {path} with a body that is not JSON", exception);
        }
    }

    /// <summary>A POST whose answer is a stream of JSON events.</summary>
    /// <param name="path">The call.</param>
    /// <param name="json">The body.</param>
    /// <param name="isLast">Whether an event ends the answer: leaving the enumeration after it keeps the connection; leaving it earlier closes it.</param>
    /// <param name="cancellationToken">The caller's.</param>
    public async IAsyncEnumerable<JsonElement> StreamAsync(
        string path, ReadOnlyMemory<byte> json, Predicate<JsonElement> isLast, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var events = await OpenAsync(path, json, ParseEvent, cancellationToken);
        while (await events.MoveNextAsync())
        {
            if (isLast(events.Current))
            {
                events.Complete();
            }

            yield return events.Current;
        }
    }

    /// <summary>A POST whose answer is a stream of events.</summary>
    public async ValueTask<EngineStream<T>> OpenAsync<T>(string path, ReadOnlyMemory<byte> json, SseItemParser<T?> parse, CancellationToken cancellationToken)
        where T : struct
    {
        var silence = new CancellationTokenSource(_options.SilenceTimeout, _time);
        var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, silence.Token);
        try
        {
            var guard = new CallGuard(Name, _options.SilenceTimeout, cancellationToken);
            var response = await guard.RunAsync(SendAsync(path, json, linked.Token));
            var body = await guard.RunAsync(response.Content.ReadAsStreamAsync(linked.Token));
            return new EngineStream<T>(response, body, parse, silence, linked, guard, _options.SilenceTimeout, _time);
        }
        catch
        {
            linked.Dispose();
            silence.Dispose();
            throw;
        }
    }

    /// <summary>Reads the data of an event; null for <c>[DONE]</c>.</summary>
    /// <exception cref="FaultException">The event is an error.</exception>
    public JsonElement? ParseEvent(string type, ReadOnlySpan<byte> data)
    {
        if (data.SequenceEqual("[DONE]"u8))
        {
            return null;
        }

        var json = JsonElement.Parse(data);
        return json.Member("error") is null && json.Text("object") != "error" ? json : throw EngineErrors.FromEvent(Name, json);
    }

    public void Dispose() => _client.Dispose();

    // The path to the server may have a prefix; "/v1" is part of the calls.
    private static Uri RootOf(Uri url)
    {
        var path = url.AbsolutePath.TrimEnd('/');
        path = path.EndsWith("/v1", StringComparison.Ordinal) ? path[..^3] : path;
        return new Uri(url, path.TrimEnd('/') + "/");
    }

    private static HttpRequestMessage Post(string path, ReadOnlyMemory<byte> json) => new(HttpMethod.Post, path)
    {
        Content = new ReadOnlyMemoryContent(json) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } },
    };

    private async Task<HttpResponseMessage> SendAsync(string path, ReadOnlyMemory<byte> json, CancellationToken cancellationToken)
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
        return await new CallGuard(Name, _options.CallTimeout, cancellationToken).RunAsync(ReadAsync(request, linked.Token));
    }

    private async Task<(HttpStatusCode Status, byte[] Body)> ReadAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        using var sent = request;
        using var response = await _client.SendAsync(sent, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        await response.Content.LoadIntoBufferAsync(MaxAnswerBytes, cancellationToken);
        return (response.StatusCode, await response.Content.ReadAsByteArrayAsync(cancellationToken));
    }
}
