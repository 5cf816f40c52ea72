using System.Buffers;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;

namespace Skein.Engines.OpenAiCompatible.Wire;

/// <summary>Calls of one server, each with its timeout. Every failure is a <see cref="FaultException"/>. Thread-safe.</summary>
internal sealed class EngineHttp : IDisposable
{
    // The largest answer is llama.cpp's whole vocabulary: about 100 bytes a token.
    private const long MaxAnswerBytes = 256L << 20;
    private const long MaxErrorBytes = 1L << 20;
    // As large as the body of a request may be.
    private const int MaxWholeAnswerBytes = 32 << 20;
    private const int MostLocationChars = 200;

    // Not a client, which would link another cancellation and combine the addresses anew for each request.
    private readonly HttpMessageInvoker _server;
    private readonly OpenAiEngineOptions _options;
    private readonly Uri _root;
    private readonly AuthenticationHeaderValue? _key;

    /// <summary>The addresses of generating calls, by their paths.</summary>
    private readonly ConcurrentDictionary<string, Uri> _addresses = new(StringComparer.Ordinal);
    private readonly TimeProvider _time;

    public EngineHttp(OpenAiEngineOptions options, HttpMessageHandler handler, TimeProvider time)
    {
        (_options, _time) = (options, time);
        _server = new HttpMessageInvoker(handler);
        _root = RootOf(options.BaseUrl);
        _key = options.ApiKey is { } key ? new AuthenticationHeaderValue("Bearer", key) : null;
        Name = $"the engine at {_root}{ProxyOf(_root)}";
        Address = new EngineAddress(Name, _root);
    }

    /// <summary>The server with its address, and the proxy of the environment that leads to it, for messages to the operator.</summary>
    public string Name { get; }

    /// <summary>The clock of its timeouts.</summary>
    public TimeProvider Time => _time;

    /// <summary>Removes the server's address from messages to clients.</summary>
    public EngineAddress Address { get; }

    /// <summary>A GET whose answer may be missing: null for any status but 200, and for a body that is not JSON.</summary>
    /// <exception cref="FaultException">The server cannot be reached, does not answer in time, is not ready (503), or refuses the key.</exception>
    public async ValueTask<JsonElement?> FindAsync(string path, CancellationToken cancellationToken)
    {
        var reply = await GetAsync(path, cancellationToken);
        try
        {
            return reply.Status == HttpStatusCode.OK ? JsonElement.Parse(reply.Body) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>A GET of anything.</summary>
    /// <exception cref="FaultException">The server cannot be reached, does not answer in time, is not ready (503), or refuses the key.</exception>
    public async ValueTask<EngineReply> GetAsync(string path, CancellationToken cancellationToken)
    {
        var reply = await CallAsync(HttpMethod.Get, path, content: null, cancellationToken);
        return reply.Status is HttpStatusCode.ServiceUnavailable or HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden
            ? throw ErrorOf(reply, path)
            : reply;
    }

    /// <summary>The models that the server lists now at <c>/v1/models</c>.</summary>
    /// <exception cref="FaultException">It lists none, or too many.</exception>
    public async ValueTask<IReadOnlyList<JsonElement>> ListModelsAsync(CancellationToken cancellationToken) =>
        ModelList.Read(await GetAsync(ModelList.Path, cancellationToken), Name, HasKey);

    private bool HasKey => _options.ApiKey is not null || _options.Headers.Count > 0;

    private FaultException ErrorOf(EngineReply reply, string path) =>
        EngineErrors.From(Name, reply, path, HasKey);

    /// <summary>A GET of a text; null for any status but 200.</summary>
    public async ValueTask<byte[]?> FindTextAsync(string path, CancellationToken cancellationToken)
    {
        var reply = await CallAsync(HttpMethod.Get, path, content: null, cancellationToken);
        return reply.Status == HttpStatusCode.OK ? reply.Body : null;
    }

    /// <summary>A POST whose answer is JSON.</summary>
    public async ValueTask<JsonElement> AskAsync(string path, ReadOnlyMemory<byte> json, CancellationToken cancellationToken)
    {
        var reply = await CallAsync(HttpMethod.Post, path, ContentOf(json), cancellationToken);
        try
        {
            return reply.Status == HttpStatusCode.OK ? JsonElement.Parse(reply.Body) : throw ErrorOf(reply, path);
        }
        catch (JsonException exception)
        {
            throw new FaultException(Fault.EngineFailed, $"{Name} answers {path} with a body that is not JSON", exception);
        }
    }

    /// <summary>
    /// A POST whose answer is a stream of JSON events, the last of which ends the answer. Null stands for bytes without an event: the server is alive.
    /// </summary>
    /// <param name="isLast">Whether an event ends the answer: leaving the enumeration after it keeps the connection; leaving it earlier closes it.</param>
    /// <param name="request">The client's request, whose id and trace the server gets.</param>
    /// <exception cref="FaultException">The stream ends before the answer.</exception>
    public async IAsyncEnumerable<JsonElement?> StreamAsync(
        string path, ReadOnlyMemory<byte> json, Predicate<JsonElement> isLast, GenerateRequest request,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var events = await OpenAsync(path, json, ParseEvent, request, cancellationToken);
        var hasEnded = false;
        for (var step = await events.MoveNextAsync(); step != EventStep.End; step = await events.MoveNextAsync())
        {
            if (step == EventStep.Event && isLast(events.Current))
            {
                hasEnded = true;
                events.Complete();
            }

            yield return step == EventStep.Event ? events.Current : null;
        }

        if (!hasEnded)
            throw EndedEarly(events);
    }

    /// <summary>The fault of a stream that ends before its answer.</summary>
    public FaultException EndedEarly<T>(EngineStream<T> events)
        where T : struct => events.OtherMediaType is { } type
            ? new(Fault.EngineFailed, $"{Name} answers with {type} instead of an event stream")
            : new(Fault.NoFinish, $"{Name}: the stream ended {(events.IsDone ? "with [DONE] but" : "early,")} without a finish_reason");

    /// <summary>A POST that generates a whole answer. It may take as long as a stream may be silent.</summary>
    /// <exception cref="FaultException">The server failed, or its answer is too large or an error.</exception>
    public async ValueTask<JsonElement> GenerateAsync(
        string path, ReadOnlyMemory<byte> json, GenerateRequest request, CancellationToken cancellationToken)
    {
        using var call = new EngineCall(Name, _options.SilenceTimeout, _time, cancellationToken);
        using var response = await call.RunAsync(SendAsync(path, json, request, call.Token));
        if (response.Content.Headers.ContentLength > MaxWholeAnswerBytes)
            throw TooLarge();

        var body = await call.RunAsync(ReadWholeAsync(response.Content, call.Token));
        try
        {
            var data = JsonElement.Parse(body);
            return EngineErrors.IsError(data) ? throw EngineErrors.FromEvent(Name, body) : data;
        }
        catch (JsonException exception)
        {
            throw call.Translate(exception);
        }
    }

    /// <summary>A POST whose answer is a stream of events.</summary>
    public async ValueTask<EngineStream<T>> OpenAsync<T>(
        string path, ReadOnlyMemory<byte> json, EventParser<T> parse, GenerateRequest request, CancellationToken cancellationToken)
        where T : struct
    {
        var call = new EngineCall(Name, _options.SilenceTimeout, _time, cancellationToken);
        try
        {
            var response = await call.RunAsync(SendAsync(path, json, request, call.Token));
            var body = await call.RunAsync(response.Content.ReadAsStreamAsync(call.Token));
            return new EngineStream<T>(response, body, parse, call, _time);
        }
        catch
        {
            call.Dispose();
            throw;
        }
    }

    /// <summary>Any call whose answer the caller reads as it arrives. It may take as long as a stream may be silent.</summary>
    /// <exception cref="FaultException">The server cannot be reached, or answers with another status than a success.</exception>
    public async ValueTask<EngineResponse> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var call = new EngineCall(Name, _options.SilenceTimeout, _time, cancellationToken);
        try
        {
            var response = await call.RunAsync(SuccessAsync(request, call.Token));
            return new EngineResponse(response, await call.RunAsync(response.Content.ReadAsStreamAsync(call.Token)), call);
        }
        catch
        {
            call.Dispose();
            throw;
        }
    }

    /// <summary>Reads the data of an event; null for <c>[DONE]</c>.</summary>
    /// <exception cref="FaultException">The event is an error.</exception>
    public JsonElement? ParseEvent(string type, ReadOnlySpan<byte> data)
    {
        if (data.Trim(" \t"u8).SequenceEqual("[DONE]"u8))
            return null;

        if (type == "error")
            throw EngineErrors.FromEvent(Name, data);

        var json = JsonElement.Parse(data);
        return EngineErrors.IsError(json) ? throw EngineErrors.FromEvent(Name, data) : json;
    }

    public void Dispose() => _server.Dispose();

    // A proxy that HTTP_PROXY and the like set for everything answers in the place of servers, and its errors look like theirs.
    private static string ProxyOf(Uri url) =>
        HttpClient.DefaultProxy is var proxy && !proxy.IsBypassed(url) && proxy.GetProxy(url) is { } way && way != url
            ? $" (through the proxy {way.Host}:{way.Port})"
            : "";

    // The path to the server may have a prefix; "/v1" is part of the calls.
    private static Uri RootOf(Uri url)
    {
        var path = url.AbsolutePath.TrimEnd('/');
        path = path.EndsWith("/v1", StringComparison.Ordinal) ? path[..^3] : path;
        return new Uri(url, path.TrimEnd('/') + "/");
    }

    private static ReadOnlyMemoryContent ContentOf(ReadOnlyMemory<byte> json) =>
        new(json) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };

    private async Task<HttpResponseMessage> SendAsync(
        string path, ReadOnlyMemory<byte> json, GenerateRequest request, CancellationToken cancellationToken)
    {
        using var message = new HttpRequestMessage(HttpMethod.Post, _addresses.GetOrAdd(path, AddressOf)) { Content = ContentOf(json) };
        Identify(message.Headers, request.RequestId, request.TraceParent, request.TraceState);
        var response = await RequestAsync(message, cancellationToken);
        if (response.StatusCode == HttpStatusCode.OK)
            return response;

        using (response)
            throw ErrorOf(ReplyOf(response, await ReadErrorAsync(response.Content, cancellationToken)), path);
    }

    private Uri AddressOf(string path) => new(_root, path);

    /// <summary>Sends a request, whose address may be relative to the server's. The answer's body is not read.</summary>
    private Task<HttpResponseMessage> RequestAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (request.RequestUri is not { IsAbsoluteUri: true })
            request.RequestUri = request.RequestUri is null ? _root : new Uri(_root, request.RequestUri);
        // What the caller set has priority.
        request.Headers.Authorization ??= _key;
        if (_options.Headers.Count > 0)
            AddHeaders(request.Headers);
        return _server.SendAsync(request, cancellationToken);
    }

    private void AddHeaders(HttpRequestHeaders headers)
    {
        foreach (var (name, value) in _options.Headers)
        {
            if (!headers.NonValidated.Contains(name))
                headers.TryAddWithoutValidation(name, value);
        }
    }

    private async Task<HttpResponseMessage> SuccessAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var response = await RequestAsync(request, cancellationToken);
        if (response.IsSuccessStatusCode)
            return response;

        using (response)
            throw EngineErrors.From(Name, ReplyOf(response, await ReadErrorAsync(response.Content, cancellationToken)));
    }

    /// <summary>Adds the client's own id and trace, so that the logs of client, gateway and server can be matched.</summary>
    public static void Identify(HttpRequestHeaders headers, string requestId, string traceParent, string traceState)
    {
        Add("x-request-id", requestId);
        Add("traceparent", traceParent);
        Add("tracestate", traceState);

        void Add(string name, string value)
        {
            if (value.Length > 0)
                headers.TryAddWithoutValidation(name, value);
        }
    }

    private async Task<byte[]> ReadWholeAsync(HttpContent content, CancellationToken cancellationToken)
    {
        await using var body = await content.ReadAsStreamAsync(cancellationToken);
        var whole = new ArrayBufferWriter<byte>();
        while (await body.ReadAsync(whole.GetMemory(4_096), cancellationToken) is > 0 and var count)
        {
            whole.Advance(count);
            if (whole.WrittenCount > MaxWholeAnswerBytes)
                throw TooLarge();
        }

        return whole.WrittenSpan.ToArray();
    }

    private FaultException TooLarge() =>
        new(Fault.EngineFailed, $"{Name} sent an answer of more than {MaxWholeAnswerBytes} bytes; allowed: up to {MaxWholeAnswerBytes} bytes");

    private static async Task<byte[]> ReadErrorAsync(HttpContent content, CancellationToken cancellationToken)
    {
        try
        {
            await content.LoadIntoBufferAsync(MaxErrorBytes, cancellationToken);
            return await content.ReadAsByteArrayAsync(cancellationToken);
        }
        catch (HttpRequestException)
        {
            return []; // Too long, or broken off: the status must do.
        }
    }

    private EngineReply ReplyOf(HttpResponseMessage response, byte[] body) =>
        new(response.StatusCode, body, EngineReply.RetryAfterOf(response, _time.GetUtcNow()), LocationOf(response));

    private static string? LocationOf(HttpResponseMessage response) =>
        response.Headers.Location?.OriginalString is { } location ? location[..Math.Min(location.Length, MostLocationChars)] : null;

    private async ValueTask<EngineReply> CallAsync(HttpMethod method, string path, HttpContent? content, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(method, path) { Content = content };
        using var call = new EngineCall(Name, _options.CallTimeout, _time, cancellationToken);
        return await call.RunAsync(ReadAsync(request, call.Token));
    }

    private async Task<EngineReply> ReadAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        using var response = await RequestAsync(request, cancellationToken);
        await response.Content.LoadIntoBufferAsync(MaxAnswerBytes, cancellationToken);
        return ReplyOf(response, await response.Content.ReadAsByteArrayAsync(cancellationToken));
    }
}
