using System.Globalization;
using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Skein.Load.Chaos.Network;

namespace Skein.EndToEnd.Support;

/// <summary>
/// A server that speaks OpenAI's protocol without ids. It counts: a chat is answered "0 1 2 …" up to <see cref="Words"/>, or continued where its last
/// message, the assistant's, ends. A chat with tools is answered with a text and two calls.
/// </summary>
internal sealed class FakeUpstream : IAsyncDisposable
{
    public const int Words = 20;

    public const string Calls =
        """[{"index":0,"id":"c1","type":"function","function":{"name":"add","arguments":"{\"a\":1,\"b\":2}"}},{"index":1,"id":"c2","type":"function","function":{"name":"now","arguments":"{}"}}]""";

    private static readonly string[] CallPieces =
    [
        """{"index":0,"id":"c1","type":"function","function":{"name":"add","arguments":""}}""",
        """{"index":0,"function":{"arguments":"{\"a\":1"}}""",
        """{"index":0,"function":{"arguments":",\"b\":2}"}}""",
        """{"index":1,"id":"c2","type":"function","function":{"name":"now","arguments":"{}"}}""",
    ];

    private readonly WebApplication _app;
    private readonly Fuse _fuse;
    private volatile TaskCompletionSource? _frozen;
    private bool _isGone;

    private FakeUpstream(WebApplication app, Fuse fuse) => (_app, _fuse) = (app, fuse);

    public Uri Url { get; private set; } = null!;

    /// <summary>Name of the upstream in a gateway's fleet.</summary>
    public string Name => $"{Url.Host}:{Url.Port}";

    /// <summary>Starts one.</summary>
    /// <param name="fuse">Kills it in the middle of a stream.</param>
    /// <param name="port">0: a free one.</param>
    /// <param name="network">Where it listens; null: the network of this process.</param>
    public static async Task<FakeUpstream> StartAsync(Fuse fuse, int port = 0, NetworkNamespace? network = null)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddRouting();
        builder.WebHost.UseKestrelCore().UseUrls($"http://127.0.0.1:{port}");
        if (network is not null)
        {
            var socket = await network.RunAsync(() => SocketTransportOptions.CreateDefaultBoundListenSocket(new IPEndPoint(IPAddress.Loopback, port)));
            builder.WebHost.UseSockets(sockets => sockets.CreateBoundListenSocket = _ => socket);
        }
        var server = new FakeUpstream(builder.Build(), fuse);
        server._app.Use(async (http, next) =>
        {
            if (server._frozen is { } frozen)
                await frozen.Task.WaitAsync(http.RequestAborted);
            await next(http);
        });
        server._app.UseRouting();
        server._app.MapGet("/v1/models", () => Results.Text("""{"data":[{"id":"counter"}]}"""));
        server._app.MapPost("/v1/chat/completions", server.ChatAsync);
        await server._app.StartAsync();
        server.Url = new Uri(server._app.Urls.First());
        return server;
    }

    /// <summary>Accepts connections and sends nothing, as a stopped process. The stream that the fuse stopped stays stopped.</summary>
    public void Freeze() => _frozen = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Answers again.</summary>
    public void Thaw() => Interlocked.Exchange(ref _frozen, null)?.SetResult();

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
        using var request = await JsonDocument.ParseAsync(http.Request.Body);
        http.Response.ContentType = "text/event-stream";
        var sent = 0;
        foreach (var delta in request.RootElement.TryGetProperty("tools", out _) ? DeltasWithCalls() : Count(request.RootElement.GetProperty("messages")))
        {
            if (_fuse.Burns(sent++))
            {
                _fuse.Burnt.SetResult(this);
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, http.RequestAborted);
            }
            await SendAsync(http, $$"""{"choices":[{"index":0,"delta":{{delta}},"finish_reason":null}]}""");
        }
        var reason = sent > 0 && request.RootElement.TryGetProperty("tools", out _) ? "tool_calls" : "stop";
        await SendAsync(http, $$"""{"choices":[{"index":0,"delta":{},"finish_reason":"{{reason}}"}]}""");
        await SendAsync(http, "[DONE]");
    }

    private static IEnumerable<string> DeltasWithCalls() =>
        CallPieces.Select(piece => $$"""{"tool_calls":[{{piece}}]}""").Prepend("""{"content":"Let me see. "}""");

    private static IEnumerable<string> Count(JsonElement messages)
    {
        var last = messages[messages.GetArrayLength() - 1];
        var said = last.GetProperty("role").GetString() == "assistant" ? last.GetProperty("content").GetString()!.Count(' ') : 0;
        return Enumerable.Range(said, Words - said).Select(word => $$"""{"content":"{{word.ToString(CultureInfo.InvariantCulture)}} "}""");
    }

    private static async Task SendAsync(HttpContext http, string data)
    {
        await http.Response.WriteAsync($"data: {data}\n\n", http.RequestAborted);
        await http.Response.Body.FlushAsync(http.RequestAborted);
    }
}

/// <summary>Stops the first server that is about to send a certain piece. The test then kills that server.</summary>
internal sealed class Fuse
{
    private int _at = -1;

    /// <summary>The server that stopped.</summary>
    public TaskCompletionSource<FakeUpstream> Burnt { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public void SetAt(int piece) => Volatile.Write(ref _at, piece);

    public bool Burns(int piece) => Interlocked.CompareExchange(ref _at, -1, piece) == piece;
}
