using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Skein.Cli.Tests.Configuration;

/// <summary>An OpenAI-compatible server that answers a chat with the words 0 to 9, or continues them. It can stop in the middle.</summary>
internal sealed class CountingServer : IAsyncDisposable
{
    public const int Words = 10;
    private const int HeldAt = 3;

    private readonly WebApplication _app;
    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _holding = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly bool _holds;

    private CountingServer(WebApplication app, bool holds) => (_app, _holds) = (app, holds);

    public Uri Url { get; private set; } = null!;

    /// <summary>Completes when a stream has stopped after three words.</summary>
    public Task Holding => _holding.Task.WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System);

    public static string Text { get; } = string.Concat(Enumerable.Range(0, Words).Select(word => $"{word} "));

    /// <param name="model">The model that it serves.</param>
    /// <param name="holds">Whether streams of clients stop after three words, until <see cref="Release"/>.</param>
    public static async Task<CountingServer> StartAsync(string model, bool holds = false)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddRouting();
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        var server = new CountingServer(builder.Build(), holds);
        server._app.UseRouting();
        server._app.MapGet("/v1/models", () => Results.Text($$"""{"data":[{"id":"{{model}}"}]}"""));
        server._app.MapPost("/v1/chat/completions", server.ChatAsync);
        await server._app.StartAsync();
        server.Url = new Uri(server._app.Urls.First());
        return server;
    }

    public void Release() => _released.TrySetResult();

    public async ValueTask DisposeAsync()
    {
        Release();
        await _app.DisposeAsync();
    }

    private async Task ChatAsync(HttpContext http)
    {
        using var request = await JsonDocument.ParseAsync(http.Request.Body);
        var messages = request.RootElement.GetProperty("messages");
        var last = messages[messages.GetArrayLength() - 1];
        var said = last.GetProperty("role").GetString() == "assistant" ? last.GetProperty("content").GetString()!.Count(' ') : 0;
        var holds = _holds && messages[0].GetProperty("content").GetString() == "hold";
        http.Response.ContentType = "text/event-stream";
        for (var word = said; word < Words; word++)
        {
            if (holds && word == HeldAt)
            {
                _holding.TrySetResult();
                await _released.Task.WaitAsync(http.RequestAborted);
            }
            await SendAsync(http, $$"""{"choices":[{"index":0,"delta":{"content":"{{word}} "},"finish_reason":null}]}""");
        }
        await SendAsync(http, """{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}""");
        await SendAsync(http, "[DONE]");
    }

    private static async Task SendAsync(HttpContext http, string data)
    {
        await http.Response.WriteAsync($"data: {data}\n\n", http.RequestAborted);
        await http.Response.Body.FlushAsync(http.RequestAborted);
    }
}
