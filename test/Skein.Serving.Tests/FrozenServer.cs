using System.Net;
using System.Net.Sockets;
using System.Text;
using Skein.Engines;
using Skein.Engines.OpenAiCompatible;

namespace Skein.Serving.Tests;

/// <summary>
/// A server of OpenAI's protocol on a real socket, whose streams send one word and no more. Frozen, it accepts connections as a stopped process does (its
/// kernel accepts them) and answers none.
/// </summary>
internal sealed class FrozenServer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _accepting;
    private TaskCompletionSource _thawed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public FrozenServer()
    {
        Thaw();
        _listener.Start();
        _accepting = AcceptAllAsync();
    }

    public void Freeze() => _thawed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Continues where it was stopped: all waiting requests are answered.</summary>
    public void Thaw() => _thawed.TrySetResult();

    public Task<IInferenceEngine> ConnectAsync(TimeProvider time) => OpenAiEngineFactory.ConnectAsync(
        new OpenAiEngineOptions { BaseUrl = new Uri($"http://{_listener.LocalEndpoint}"), Kind = "ollama", Slots = 4 }, time);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _accepting;
        _listener.Dispose();
        _stop.Dispose();
    }

    private async Task AcceptAllAsync()
    {
        var answering = new List<Task>();
        try
        {
            while (true)
            {
                answering.Add(AnswerAsync(await _listener.AcceptTcpClientAsync(_stop.Token)));
            }
        }
        catch (OperationCanceledException)
        {
            // The test is over.
        }

        await Task.WhenAll(answering);
    }

    private async Task AnswerAsync(TcpClient client)
    {
        using var connection = client;
        var stream = connection.GetStream();
        var buffer = new byte[16_384];
        try
        {
            var asked = Encoding.ASCII.GetString(buffer, 0, await stream.ReadAsync(buffer, _stop.Token));
            if (asked.StartsWith("POST", StringComparison.Ordinal))
            {
                const string Event = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
                await SendAsync(stream, "text/event-stream\r\nTransfer-Encoding: chunked", $"{Event.Length:x}\r\n{Event}\r\n");
                while (await stream.ReadAsync(buffer, _stop.Token) > 0)
                {
                    // Reads the rest of the body, then waits until the client disconnects.
                }

                return;
            }

            await _thawed.Task.WaitAsync(_stop.Token);
            await SendAsync(stream, "application/json", asked.Contains("version", StringComparison.Ordinal) ? """{"version":"1"}""" : """{"data":[{"id":"m"}]}""");
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException)
        {
            // The test is over, or the client has disconnected.
        }
    }

    private static async Task SendAsync(NetworkStream stream, string type, string body) => await stream.WriteAsync(
        Encoding.UTF8.GetBytes($"HTTP/1.1 200 OK\r\nContent-Type: {type}\r\nConnection: close\r\n\r\n{body}"));
}
