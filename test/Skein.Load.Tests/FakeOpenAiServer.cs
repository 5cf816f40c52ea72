using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Skein.Load.Tests;

/// <summary>An OpenAI-compatible server on a free loopback port that answers as a test tells it to.</summary>
internal sealed class FakeOpenAiServer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private int _requests;

    private FakeOpenAiServer(WebApplication app) => _app = app;

    public Uri Url => new(_app.Urls.First());

    /// <summary>Starts one; <paramref name="answer"/> gets the number of the chat request, from 0.</summary>
    public static async Task<FakeOpenAiServer> StartAsync(Func<FakeAnswer, int, Task> answer)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddRouting();
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        var server = new FakeOpenAiServer(builder.Build());
        server._app.MapGet("/v1/models", () => Results.Text("""{"data":[{"id":"fake"},{"id":"other"}]}"""));
        server._app.MapPost("/v1/chat/completions", async context =>
        {
            using var body = new StreamReader(context.Request.Body, Encoding.UTF8);
            await answer(new FakeAnswer(context, await body.ReadToEndAsync()), Interlocked.Increment(ref server._requests) - 1);
        });
        await server._app.StartAsync();
        return server;
    }

    public BenchOptions Options => new() { Target = Url, Requests = 20, Concurrency = 4, Prompts = BenchPrompts.Create(1) };

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}

/// <summary>One request to the fake server, and the answer to it.</summary>
internal sealed class FakeAnswer(HttpContext context, string request)
{
    public string Request => request;

    /// <summary>What it was authorized with; empty: nothing.</summary>
    public string Authorization => context.Request.Headers.Authorization.ToString();

    public CancellationToken Gone => context.RequestAborted;

    public async Task WriteAsync(params string[] lines)
    {
        foreach (var line in lines)
        {
            await context.Response.WriteAsync($"{line}\n\n");
            await context.Response.Body.FlushAsync();
        }
    }

    public Task TokenAsync(string text) => WriteAsync($$"""data: {"choices":[{"delta":{"content":"{{text}}"},"finish_reason":null}]}""");

    public Task FinishAsync() => WriteAsync("""data: {"choices":[{"delta":{},"finish_reason":"stop"}]}""");

    public Task UsageAsync(int tokens) => WriteAsync($$$"""data: {"choices":[],"usage":{"completion_tokens":{{{tokens}}}}}""");

    public Task DoneAsync() => WriteAsync("data: [DONE]");

    public async Task WholeAsync(params string[] texts)
    {
        foreach (var text in texts)
        {
            await TokenAsync(text);
        }

        await FinishAsync();
        await UsageAsync(texts.Length);
        await DoneAsync();
    }

    public async Task RefuseAsync(int status, string body)
    {
        context.Response.StatusCode = status;
        await context.Response.WriteAsync(body);
    }

    /// <summary>
    /// Ends the connection in the middle of the answer, behind all that was written. An abort may come before it: then the client has got nothing, and asks
    /// once more by itself.
    /// </summary>
    public static void Break() => throw new IOException("this answer breaks off");
}
