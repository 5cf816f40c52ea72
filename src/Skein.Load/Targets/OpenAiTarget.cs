using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Text.Json.Serialization;
using Skein.Load.Measuring;

namespace Skein.Load.Targets;

/// <summary>An OpenAI-compatible server, through streamed chat completions.</summary>
internal sealed class OpenAiTarget(BenchOptions options, HttpClient http, Uri root, string model) : IBenchTarget
{
    private const int MaxErrorBytes = 64 << 10;

    private readonly Uri _completions = new(root, "chat/completions");

    public string Model => model;

    public static async Task<OpenAiTarget> OpenAsync(BenchOptions options, CancellationToken cancellationToken)
    {
        var path = options.Target.AbsolutePath.TrimEnd('/');
        var root = new UriBuilder(options.Target) { Path = path.EndsWith("/v1", StringComparison.Ordinal) ? $"{path}/" : $"{path}/v1/" }.Uri;
        var http = TargetHttp.Create(options.Key, options.Tls);
        try
        {
            var model = options.Model.Length > 0 ? options.Model : await FirstModelAsync(http, new Uri(root, "models"), cancellationToken);
            return new OpenAiTarget(options, http, root, model);
        }
        catch
        {
            http.Dispose();
            throw;
        }
    }

    public async Task AskAsync(string prompt, AnswerRecorder answer, CancellationToken cancellationToken)
    {
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, _completions) { Content = Body(prompt) };
            using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            if (!response.IsSuccessStatusCode)
                throw await RefusalAsync(response, cancellationToken);
            await using var events = new SseCommentStream(
                await response.Content.ReadAsStreamAsync(cancellationToken), comment => answer.OnFailovers(FailoverNote.Read(comment)));
            await foreach (var item in SseParser.Create(events, static (_, data) => Parse(data)).EnumerateAsync(cancellationToken))
                Take(item.Data, answer);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            throw new BenchRequestException(BenchErrors.Connection, exception.GetBaseException().Message, exception);
        }
        catch (Exception exception) when (exception is JsonException or InvalidDataException)
        {
            throw new BenchRequestException(BenchErrors.Malformed, exception.Message, exception);
        }
    }

    public void Dispose() => http.Dispose();

    // Null is the end marker.
    private static ChatChunk? Parse(ReadOnlySpan<byte> data) =>
        data.SequenceEqual("[DONE]"u8)
            ? null
            : JsonSerializer.Deserialize(data, OpenAiJson.Default.ChatChunk) ?? throw new JsonException("an event is null");

    private static void Take(ChatChunk? chunk, AnswerRecorder answer)
    {
        if (chunk is null)
        {
            answer.OnDone();
            return;
        }

        if (chunk.Error is { } error)
            throw new BenchRequestException(BenchRequestException.KindOf("in-band", error.CodeText), error.Message ?? "no message");
        if (chunk.Choices is [{ } choice, ..])
        {
            if (choice.Delta?.Content is { Length: > 0 } text)
                answer.OnTokens(text);
            if (choice.FinishReason is not null)
                answer.OnFinish();
        }

        if (chunk.Usage?.CompletionTokens is { } tokens)
            answer.OnUsage(tokens);
    }

    private static async Task<BenchRequestException> RefusalAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var body = new byte[MaxErrorBytes];
        await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        var length = await stream.ReadAtLeastAsync(body, body.Length, throwOnEndOfStream: false, cancellationToken);
        ErrorBody? error = null;
        try
        {
            error = JsonSerializer.Deserialize(body.AsSpan(0, length), OpenAiJson.Default.ChatChunk)?.Error;
        }
        catch (JsonException)
        {
            // Not JSON, such as an HTML page of a proxy: the status is the error.
        }

        return new BenchRequestException(
            BenchRequestException.KindOf($"http {(int)response.StatusCode}", error?.CodeText), error?.Message ?? response.ReasonPhrase ?? "no message");
    }

    private static async Task<string> FirstModelAsync(HttpClient http, Uri models, CancellationToken cancellationToken)
    {
        try
        {
            var list = await http.GetFromJsonAsync(models, OpenAiJson.Default.OpenAiModelList, cancellationToken);
            return list?.Data is [{ Id: { } id }, ..] ? id : throw new BenchException($"{models} lists no model; name one with --model");
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or JsonException)
        {
            throw new BenchException($"cannot ask {models} for its models: {exception.GetBaseException().Message}", exception);
        }
    }

    private JsonContent Body(string prompt) => JsonContent.Create(
        new ChatRequest(
            model, [new OpenAiMessage("user", prompt)], options.MaxTokens, options.Temperature, options.Seed, Stream: true,
            new StreamOptions(IncludeUsage: true))
        {
            Extra = new Dictionary<string, JsonElement>(options.Extra),
        },
        OpenAiJson.Default.ChatRequest);
}

internal sealed record ChatRequest(
    string Model, IReadOnlyList<OpenAiMessage> Messages, int MaxTokens, float Temperature, ulong Seed, bool Stream, StreamOptions StreamOptions)
{
    // A setter, because the source generator treats an init property as a constructor parameter.
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Extra { get; set; }
}

internal sealed record OpenAiMessage(string Role, string Content);

internal sealed record StreamOptions(bool IncludeUsage);

/// <summary>One event of a streamed answer, or an error; only the members that are measured.</summary>
internal sealed record ChatChunk(IReadOnlyList<ChunkChoice>? Choices, ChunkUsage? Usage, ErrorBody? Error);

internal sealed record ChunkChoice(ChunkDelta? Delta, string? FinishReason);

internal sealed record ChunkDelta(string? Content);

internal sealed record ChunkUsage(int? CompletionTokens);

/// <summary>An error of an OpenAI-compatible server. Some servers use a number as code.</summary>
internal sealed record ErrorBody(string? Message, string? Type, JsonElement? Code)
{
    public string? CodeText => Code is { ValueKind: JsonValueKind.String or JsonValueKind.Number } code ? code.ToString() : Type;
}

internal sealed record OpenAiModelList(IReadOnlyList<ModelEntry>? Data);

internal sealed record ModelEntry(string? Id);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(ChatRequest))]
[JsonSerializable(typeof(ChatChunk))]
[JsonSerializable(typeof(OpenAiModelList))]
[JsonSerializable(typeof(OpenAiMessage[]))]
internal sealed partial class OpenAiJson : JsonSerializerContext;
