using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Net.Sockets;
using Skein.Load.Measuring;
using Skein.Load.Targets;

namespace Skein.Load.Chaos.Servers;

/// <summary>An answer as it was received. Immutable once the question has returned.</summary>
/// <param name="Parts">What it says.</param>
/// <param name="Tier">Resume tier that the gateway stated; empty: none was stated.</param>
/// <param name="Failovers">Changes of the server during the answer.</param>
/// <param name="HadTokens">Whether tokens had come before one of them, as far as the gateway says.</param>
/// <param name="Start">Timestamp of the request.</param>
/// <param name="Events">Events of the stream.</param>
/// <param name="Error">Why it is no complete answer, in one line; null: it is complete.</param>
internal sealed record ReceivedAnswer(
    AnswerParts Parts, string Tier, int Failovers, bool HadTokens, int Events, TimeSpan LongestGap, long Start, TimeSpan Duration, string? Error);

/// <summary>What is known of an answer while it arrives. Thread-safe.</summary>
internal sealed class ArrivingAnswer
{
    private readonly TaskCompletionSource _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile string? _server;
    private int _events;

    /// <summary>Completes at this number of events; 0: at once.</summary>
    public required int Awaited { get; init; }

    public Task WhenReached => Awaited == 0 ? Task.CompletedTask : _reached.Task;

    /// <summary>The server that gives it, as clients are told; null: not known yet.</summary>
    public string? Server
    {
        get => _server;
        set => _server = value;
    }

    public int Events => Volatile.Read(ref _events);

    public void OnEvent()
    {
        if (Interlocked.Increment(ref _events) == Awaited)
            _reached.TrySetResult();
    }
}

/// <summary>Asks questions of a gateway. Thread-safe.</summary>
internal sealed class QuestionClient : IDisposable
{
    private const int MostErrorBytes = 64 << 10;
    private const int MostWholeBytes = 8 << 20;

    private readonly HttpClient _http;
    private readonly TimeSpan _timeout;
    private readonly TimeProvider _time;

    public QuestionClient(ServerChaosOptions options, TimeProvider time)
    {
        (_timeout, _time) = (options.RequestTimeout, time);
        _http = TargetHttp.Create(options.Key, options.Tls);
        (_http.BaseAddress, _http.MaxResponseContentBufferSize) = (options.Gateway, MostWholeBytes);
    }

    /// <summary>The first model of the gateway's list.</summary>
    /// <exception cref="BenchException">It lists none, or does not answer.</exception>
    public async Task<string> FirstModelAsync(CancellationToken cancellationToken)
    {
        try
        {
            var list = await _http.GetFromJsonAsync(new Uri("/v1/models", UriKind.Relative), OpenAiJson.Default.OpenAiModelList, cancellationToken);
            return list?.Data is [{ Id: { } id }, ..] ? id : throw new BenchException("the gateway lists no model: its servers serve none");
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or JsonException)
        {
            throw new BenchException($"the gateway does not list its models: {exception.GetBaseException().Message}", exception);
        }
    }

    /// <summary>Asks, and reads the answer to its end. What is wrong with it is in its <see cref="ReceivedAnswer.Error"/>.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async Task<ReceivedAnswer> AskAsync(QuestionKind kind, string body, ArrivingAnswer arriving, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(_timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        var progress = new Progress(_time.GetTimestamp());
        string? error = null;
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, kind.IsChat ? "/v1/chat/completions" : "/v1/completions");
            request.Content = new StringContent(body, Encoding.UTF8, "application/json");
            if (kind.StreamsCalls)
                request.Headers.Add("x-skein-stream-tool-calls", "1");
            using var response = await _http.SendAsync(
                request, kind.IsWhole ? HttpCompletionOption.ResponseContentRead : HttpCompletionOption.ResponseHeadersRead, either.Token);
            arriving.Server = HeaderOf(response.Headers, "x-skein-replica");
            progress.Tier = HeaderOf(response.Headers, "x-skein-resume-tier") ?? "";
            if (!response.IsSuccessStatusCode)
                error = await RefusalAsync(response, either.Token);
            else if (kind.IsWhole)
                await ReadWholeAsync(response, kind, progress, either.Token);
            else
                await ReadStreamAsync(response, progress, arriving, either.Token);
            var isComplete = progress.IsDone && progress.Parts.IsFinished;
            error ??= progress.Parts.Error ?? (isComplete ? null : "the answer ended without a finish reason or an end marker");
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or SocketException or JsonException or InvalidDataException)
        {
            error = progress.Parts.Error ?? exception.GetBaseException().Message;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            error = $"the answer did not end within {_timeout.TotalSeconds:0} s";
        }

        return new ReceivedAnswer(
            progress.Parts, progress.Tier, progress.Failovers, progress.HadTokens, arriving.Events, progress.LongestGap, progress.Start,
            _time.GetElapsedTime(progress.Start), error);
    }

    public void Dispose() => _http.Dispose();

    private static string? HeaderOf(HttpResponseHeaders headers, string name) => headers.TryGetValues(name, out var values) ? values.FirstOrDefault() : null;

    private static async Task<string> RefusalAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var body = new byte[MostErrorBytes];
        await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        var length = await stream.ReadAtLeastAsync(body, body.Length, throwOnEndOfStream: false, cancellationToken);
        var parts = new AnswerParts();
        try
        {
            parts.Add(JsonElement.Parse(body.AsSpan(0, length)));
        }
        catch (JsonException)
        {
            // Not JSON: the status is the error.
        }

        return $"status {(int)response.StatusCode}: {parts.Error ?? response.ReasonPhrase}";
    }

    private async Task ReadStreamAsync(HttpResponseMessage response, Progress progress, ArrivingAnswer arriving, CancellationToken cancellationToken)
    {
        await using var events = new SseCommentStream(
            await response.Content.ReadAsStreamAsync(cancellationToken),
            comment => progress.Add(FailoverNote.Read(comment)));
        var last = _time.GetTimestamp();
        await foreach (var item in SseParser.Create(events).EnumerateAsync(cancellationToken))
        {
            var gap = _time.GetElapsedTime(last);
            progress.LongestGap = gap > progress.LongestGap ? gap : progress.LongestGap;
            last = _time.GetTimestamp();
            if (item.Data == "[DONE]")
                progress.IsDone = true;
            else
                progress.Parts.Add(JsonElement.Parse(item.Data));
            arriving.OnEvent();
        }
    }

    private async Task ReadWholeAsync(HttpResponseMessage response, QuestionKind kind, Progress progress, CancellationToken cancellationToken)
    {
        progress.Parts.Add(JsonElement.Parse(await response.Content.ReadAsByteArrayAsync(cancellationToken)));
        progress.IsDone = true;
        progress.LongestGap = _time.GetElapsedTime(progress.Start);
        if (int.TryParse(HeaderOf(response.Headers, "x-skein-attempts"), NumberStyles.None, CultureInfo.InvariantCulture, out var attempts))
            progress.Failovers = Math.Max(0, attempts - kind.Choices);
    }

    private sealed class Progress(long start)
    {
        public AnswerParts Parts { get; } = new();

        public long Start { get; } = start;

        public string Tier { get; set; } = "";

        public int Failovers { get; set; }

        public bool HadTokens { get; private set; }

        public bool IsDone { get; set; }

        public TimeSpan LongestGap { get; set; }

        public void Add(FailoverNote note)
        {
            Failovers = Math.Max(Failovers, note.Count);
            HadTokens |= note.Indexes.Any(index => index > 0);
        }
    }
}
