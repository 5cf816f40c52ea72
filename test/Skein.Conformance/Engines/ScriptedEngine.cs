using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Skein.EndToEnd.Support;

namespace Skein.Conformance.Engines;

/// <summary>
/// A server that speaks OpenAI's protocol without ids, whose model follows a script. Chats that mention none of its marks are the gateway's own: they are
/// answered with a fixed text. Thread-safe.
/// </summary>
internal sealed class ScriptedEngine : IAsyncDisposable
{
    public const string Model = "scripted";

    /// <summary>Text that is in every request of a client that lets us choose its words.</summary>
    public const string Mark = "conformance";

    /// <summary>One of these texts is in every request of a client: the others are of programs with words of their own.</summary>
    private static readonly string[] Marks = [Mark, "CANARY_OK", "compatibility status"];

    /// <summary>Between the pieces of an answer to a client that asks for a slow one.</summary>
    private static readonly TimeSpan SlowPace = TimeSpan.FromMilliseconds(200);

    private static readonly JsonSerializerOptions WithoutNulls = new() { DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull };

    private readonly WebApplication _app;
    private readonly Func<ChatCall, Reply> _script;
    private readonly DeathTrap _trap;
    private readonly ConcurrentQueue<ChatCall> _asked = new();
    private readonly TaskCompletionSource _left = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _isGone;

    private ScriptedEngine(WebApplication app, Func<ChatCall, Reply> script, DeathTrap trap) => (_app, _script, _trap) = (app, script, trap);

    public Uri Url { get; private set; } = null!;

    /// <summary>Completes when a client's answer was given up while it was sent.</summary>
    public Task Left => _left.Task;

    /// <summary>Requests of clients, in the order of their arrival.</summary>
    public IReadOnlyList<ChatCall> Asked => [.. _asked];

    public static async Task<ScriptedEngine> StartAsync(Func<ChatCall, Reply> script, DeathTrap? trap = null)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddRouting();
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        var engine = new ScriptedEngine(builder.Build(), script, trap ?? new DeathTrap());
        engine._app.UseRouting();
        engine._app.MapGet("/v1/models", () => Results.Text($$"""{"data":[{"id":"{{Model}}","max_model_len":200000}]}""", "application/json"));
        engine._app.MapPost("/v1/chat/completions", engine.ChatAsync);
        engine._app.MapPost("/v1/embeddings", EmbedAsync);
        await engine._app.StartAsync();
        engine.Url = new Uri(engine._app.Urls.First());
        return engine;
    }

    /// <summary>Closes its port and cuts its connections, as the death of its process would.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isGone, true))
            return;
        try
        {
            await _app.StopAsync(new CancellationToken(canceled: true));
        }
        catch (OperationCanceledException)
        {
            // The host throws this when it is stopped without grace.
        }
        await _app.DisposeAsync();
    }

    private async Task ChatAsync(HttpContext http)
    {
        var call = new ChatCall(await JsonSerializer.DeserializeAsync<JsonElement>(http.Request.Body, cancellationToken: http.RequestAborted));
        var isClients = Marks.Any(call.Mentions);
        if (isClients)
            _asked.Enqueue(call);
        var reply = (isClients ? _script(call) : new Reply("one two three four")).CutAt(call.Stop);
        var prefix = $"call_{call.Messages.Length}";
        var reason = reply.Calls.Count > 0 ? "tool_calls" : "stop";
        var usage = new { prompt_tokens = 11, completion_tokens = 7, total_tokens = 18 };
        if (!call.Stream)
        {
            await http.Response.WriteAsJsonAsync(
                new
                {
                    id = "x", @object = "chat.completion", model = Model, usage,
                    choices = Enumerable.Range(0, call.Choices).Select(index => new
                    {
                        index, message = reply.Message(prefix), finish_reason = reason, logprobs = call.Logprobs ? reply.Logprobs() : null,
                    }),
                },
                WithoutNulls, http.RequestAborted);
            return;
        }

        http.Response.ContentType = "text/event-stream";
        var sent = 0;
        var pace = call.Mentions("slow") ? SlowPace : TimeSpan.Zero;
        await using var onLeft = isClients ? http.RequestAborted.Register(() => _left.TrySetResult()) : default;
        foreach (var delta in reply.Deltas(prefix))
        {
            if (pace > TimeSpan.Zero)
                await Task.Delay(pace, TimeProvider.System, http.RequestAborted);
            if (isClients && _trap.Springs(sent++))
            {
                _trap.Caught.SetResult(this);
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, http.RequestAborted);
            }

            var logprobs = call.Logprobs && delta.GetType().GetProperty("content") is { } content ? Reply.LogprobsOf((string)content.GetValue(delta)!) : null;
            for (var index = 0; index < call.Choices; index++)
                await SendAsync(http, Chunk([new { index, delta, logprobs }]));
        }

        for (var index = 0; index < call.Choices; index++)
            await SendAsync(http, Chunk([new { index, delta = new { }, finish_reason = reason }]));
        await SendAsync(http, Chunk([], usage));
        await http.Response.WriteAsync("data: [DONE]\n\n", http.RequestAborted);
    }

    /// <summary>A vector of the length of each text, as numbers or base64.</summary>
    private static async Task EmbedAsync(HttpContext http)
    {
        var body = await JsonSerializer.DeserializeAsync<JsonElement>(http.Request.Body, cancellationToken: http.RequestAborted);
        var input = body.GetProperty("input");
        string[] texts = input.ValueKind == JsonValueKind.String ? [input.GetString()!] : [.. input.EnumerateArray().Select(text => text.GetString()!)];
        var isPacked = body.TryGetProperty("encoding_format", out var format) && format.GetString() == "base64";
        await http.Response.WriteAsJsonAsync(
            new
            {
                @object = "list", model = Model, usage = new { prompt_tokens = 3, total_tokens = 3 },
                data = texts.Select((text, index) => new
                {
                    @object = "embedding", index,
                    embedding = isPacked ? (object)Convert.ToBase64String(MemoryMarshal.AsBytes<float>((float[])[text.Length, 0.5f])) : new[] { text.Length, 0.5f },
                }),
            },
            http.RequestAborted);
    }

    private static object Chunk(object[] choices, object? usage = null) =>
        new { id = "x", @object = "chat.completion.chunk", created = 1, model = Model, choices, usage };

    private static async Task SendAsync(HttpContext http, object data)
    {
        await http.Response.WriteAsync($"data: {JsonSerializer.Serialize(data, WithoutNulls)}\n\n", http.RequestAborted);
        await http.Response.Body.FlushAsync(http.RequestAborted);
    }
}

/// <summary>Stops the first server that is about to send a certain piece of an answer. The test then ends that server.</summary>
internal sealed class DeathTrap
{
    private int _at = -1;

    /// <summary>The server that stopped.</summary>
    public TaskCompletionSource<ScriptedEngine> Caught { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>A trap that springs before this piece, from 0.</summary>
    public static DeathTrap At(int piece) => new() { _at = piece };

    /// <summary>Waits for the server that stopped, and ends it.</summary>
    public async Task EndCaughtAsync()
    {
        var caught = await Until.DoneAsync(Caught.Task, "a server reaches the trap", TimeSpan.FromMinutes(1));
        await caught.DisposeAsync();
    }

    public bool Springs(int piece) => Interlocked.CompareExchange(ref _at, -1, piece) == piece;
}
