using System.Buffers;
using System.Buffers.Text;
using System.Diagnostics;
using System.IO.Pipelines;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Skein.GatewayBench.Processes;

/// <summary>
/// A minimal OpenAI-compatible server in a process of its own, the upstream of both sides. Streams exactly <c>max_tokens</c> chunks, each written
/// by itself as inference servers do. One model answers at once, the other keeps a pace.
/// </summary>
internal sealed class ScriptedServer : IDisposable
{
    /// <summary>Argument that makes this program the server.</summary>
    public const string Role = "scripted-server";

    public const string ImmediateModel = "immediate";
    public const string PacedModel = "paced";

    private const int TimestampDigits = 19;

    private const string Head = """{"id":"chatcmpl-0123456789abcdef","object":"chat.completion.chunk","created":1700000000,"model":"scripted","choices":""";

    private static readonly TimeSpan Step = TimeSpan.FromSeconds(1) / Load.PacedTokensPerSecond;
    private static readonly byte[] FirstChunk = Chunk("""{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}""");
    private static readonly byte[] TokenChunk = Chunk(
        $$$"""{"index":0,"delta":{"content":" t{{{new string('0', TimestampDigits)}}}"},"logprobs":null,"finish_reason":null}""");

    private static readonly int TimestampAt = TokenChunk.AsSpan().IndexOf(TimestampMark) + TimestampMark.Length;
    private static readonly byte[] LastChunk = Chunk("""{"index":0,"delta":{},"logprobs":null,"finish_reason":"length"}""");

    private readonly MemberProcess _process;

    private ScriptedServer(MemberProcess process, Uri url) => (_process, Url) = (process, url);

    public Uri Url { get; }

    // What comes before the time in a token. Both sides send it on as it is.
    private static ReadOnlySpan<byte> TimestampMark => "\"content\":\" t"u8;

    /// <returns>When the last token in these bytes was written, as a timestamp of <see cref="Stopwatch"/>; null if there is no whole one.</returns>
    public static long? SentAt(ReadOnlySpan<byte> bytes)
    {
        var at = bytes.LastIndexOf(TimestampMark);
        return at >= 0 && bytes.Length >= at + TimestampMark.Length + TimestampDigits
            && Utf8Parser.TryParse(bytes.Slice(at + TimestampMark.Length, TimestampDigits), out long timestamp, out var read) && read == TimestampDigits
            ? timestamp
            : null;
    }

    public static async Task<ScriptedServer> StartAsync(CancellationToken cancellationToken)
    {
        var process = new MemberProcess(Path.Combine(AppContext.BaseDirectory, "Skein.GatewayBench"), [Role], new Dictionary<string, string>());
        try
        {
            return new ScriptedServer(process, new Uri(await process.ReadyAsync(cancellationToken)));
        }
        catch
        {
            process.Dispose();
            throw;
        }
    }

    /// <summary>The server's process: prints its URL, ends with standard input.</summary>
    public static async Task<int> RunAsync()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddRouting();
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        await using var app = builder.Build();
        app.UseRouting();
        app.MapGet("/v1/models", () => Results.Text(
            $$"""{"object":"list","data":[{"id":"{{ImmediateModel}}","object":"model"},{"id":"{{PacedModel}}","object":"model"}]}""", "application/json"));
        app.MapPost("/v1/chat/completions", AnswerAsync);
        await app.StartAsync();
        Console.WriteLine(app.Urls.First());
        while (await Console.In.ReadLineAsync() is not null)
        {
        }
        return 0;
    }

    public void Dispose() => _process.Dispose();

    private static async Task AnswerAsync(HttpContext http)
    {
        using var request = await JsonDocument.ParseAsync(http.Request.Body, cancellationToken: http.RequestAborted);
        var tokens = request.RootElement.TryGetProperty("max_tokens", out var most) ? most.GetInt32() : 16;
        var isPaced = request.RootElement.GetProperty("model").ValueEquals(PacedModel);
        var usage = $$"""{"prompt_tokens":100,"completion_tokens":{{tokens}},"total_tokens":{{100 + tokens}}}""";
        if (!request.RootElement.TryGetProperty("stream", out var stream) || stream.ValueKind != JsonValueKind.True)
        {
            http.Response.ContentType = "application/json";
            await http.Response.WriteAsync(WholeAnswer(tokens, usage), http.RequestAborted);
            return;
        }
        http.Response.ContentType = "text/event-stream";
        var body = http.Response.BodyWriter;
        await body.WriteAsync(FirstChunk, http.RequestAborted);
        var start = Stopwatch.GetTimestamp();
        for (var token = 0; token < tokens; token++)
        {
            // Counted from the start, so that late timers do not slow the stream down.
            var wait = (Step * (token + 1)) - Stopwatch.GetElapsedTime(start);
            if (isPaced && wait > TimeSpan.Zero)
                await Task.Delay(wait, TimeProvider.System, http.RequestAborted);
            WriteToken(body);
            await body.FlushAsync(http.RequestAborted);
        }
        await body.WriteAsync(LastChunk, http.RequestAborted);
        await body.WriteAsync(Event($"{Head}[],\"usage\":{usage}}}"), http.RequestAborted);
        await body.WriteAsync(Event("[DONE]"), http.RequestAborted);
    }

    private static void WriteToken(PipeWriter body)
    {
        var span = body.GetSpan(TokenChunk.Length);
        TokenChunk.CopyTo(span);
        Utf8Formatter.TryFormat(Stopwatch.GetTimestamp(), span[TimestampAt..], out _, new StandardFormat('D', TimestampDigits));
        body.Advance(TokenChunk.Length);
    }

    // No load asks for it; a gateway may, when it tries out what the server can do.
    private static string WholeAnswer(int tokens, string usage)
    {
        var text = string.Concat(Enumerable.Repeat(" word", tokens));
        var choice = $$"""{"index":0,"message":{"role":"assistant","content":"{{text}}"},"logprobs":null,"finish_reason":"length"}""";
        return $$"""{"id":"chatcmpl-0123456789abcdef","object":"chat.completion","created":1700000000,"choices":[{{choice}}],"usage":{{usage}}}""";
    }

    private static byte[] Chunk(string choice) => Event($"{Head}[{choice}]}}");

    private static byte[] Event(string data) => Encoding.UTF8.GetBytes($"data: {data}\n\n");
}
