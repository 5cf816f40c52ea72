using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;

namespace Skein.EndToEnd.Support;

/// <summary>A streamed chat completion, read line by line as <c>curl -N</c> would.</summary>
internal sealed class HttpAnswerStream : IAnswerStream
{
    private readonly HttpResponseMessage _response;
    private readonly StreamReader _lines;
    private readonly StringBuilder _text = new();
    private readonly PauseWatch _pauses = new();
    private int _pieces;
    private string? _finishReason;
    private int? _completionTokens;
    private bool _isDone;

    private HttpAnswerStream(HttpResponseMessage response, Stream body)
    {
        _response = response;
        _lines = new StreamReader(body);
    }

    public string Replica => _response.Headers.GetValues("x-skein-replica").Single();

    /// <summary>How many replicas were asked before the first token came.</summary>
    public string Attempts => _response.Headers.GetValues("x-skein-attempts").Single();

    public string? ContentType => _response.Content.Headers.ContentType?.MediaType;

    public string? Failovers { get; private set; }

    public TimeSpan LongestPause => _pauses.Longest;

    /// <summary>Asks and waits for the headers, which come with the first token.</summary>
    public static async Task<HttpAnswerStream> AskAsync(HttpClient client, Question question)
    {
        var body = new JsonObject
        {
            ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = question.Text }),
            ["max_tokens"] = question.MaxTokens,
            ["temperature"] = question.Temperature,
            ["seed"] = question.Seed,
            ["stream"] = true,
            ["stream_options"] = new JsonObject { ["include_usage"] = true },
        };
        if (question.Fault is { } fault)
            body["skein_fault"] = JsonNode.Parse(fault);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = JsonContent.Create(body) };
        if (question.Hedge)
            request.Headers.Add("x-skein-hedge", "1");
        var response = await Until.DoneAsync(client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead), "an answer's headers", TimeSpan.FromSeconds(90));
        if (response.StatusCode != HttpStatusCode.OK)
            Assert.Fail($"{(int)response.StatusCode}: {await response.Content.ReadAsStringAsync()}");
        return new HttpAnswerStream(response, await response.Content.ReadAsStreamAsync());
    }

    public async Task ReadPiecesAsync(int count)
    {
        while (_pieces < count)
            Assert.True(await ReadLineAsync(), $"the stream ended after {_pieces} pieces, before piece {count}: {_text}");
    }

    public async Task<Answer> ReadToEndAsync()
    {
        while (await ReadLineAsync())
        {
            // The reader has recorded everything already.
        }
        Assert.True(_isDone, $"the stream ended without [DONE]: {_text}");
        Assert.NotNull(_finishReason);
        Assert.NotNull(_completionTokens);
        return new Answer(_text.ToString(), "", _finishReason, _completionTokens.Value);
    }

    public ValueTask DisposeAsync()
    {
        // Closes the connection if the answer was not read to its end, as a client that disconnects.
        _lines.Dispose();
        _response.Dispose();
        return ValueTask.CompletedTask;
    }

    private async Task<bool> ReadLineAsync()
    {
        var line = await Until.DoneAsync(_lines.ReadLineAsync(), "the next line of the stream", context: () => $"So far: {_text}");
        if (line is null)
            return false;
        Assert.False(_isDone && line.Length > 0, $"a line after [DONE]: {line}");
        if (line.StartsWith(": skein ", StringComparison.Ordinal))
            Failovers = line[": skein ".Length..];
        else if (line == "data: [DONE]")
            _isDone = true;
        else if (line.StartsWith("data: ", StringComparison.Ordinal))
            Take(JsonNode.Parse(line["data: ".Length..])!);
        return true;
    }

    private void Take(JsonNode chunk)
    {
        Assert.True(chunk["error"] is null, $"the stream broke: {chunk["error"]}");
        var choice = chunk["choices"]!.AsArray().FirstOrDefault();
        if (choice?["delta"]?["content"]?.GetValue<string>() is { Length: > 0 } piece)
        {
            _text.Append(piece);
            _pieces++;
            _pauses.OnPiece();
        }
        if (choice?["finish_reason"]?.GetValue<string>() is { } reason)
        {
            Assert.Null(_finishReason);
            _finishReason = reason;
        }
        if (chunk["usage"]?["completion_tokens"]?.GetValue<int>() is { } tokens)
            _completionTokens = tokens;
    }
}
