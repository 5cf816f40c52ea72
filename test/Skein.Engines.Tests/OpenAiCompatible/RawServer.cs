using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Skein.Engines.OpenAiCompatible;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>What a server does with one request.</summary>
internal enum Behaviour
{
    /// <summary>Answers and keeps the connection.</summary>
    Keep,

    /// <summary>Answers as if it kept the connection, and closes it.</summary>
    CloseUnannounced,

    /// <summary>Closes the connection without an answer.</summary>
    CloseUnanswered,

    /// <summary>Resets the connection without an answer.</summary>
    Reset,

    /// <summary>Sends half of the headers and closes the connection.</summary>
    CloseInHeaders,

    /// <summary>Sends the first event, then nothing, and keeps the connection.</summary>
    Hang,

    /// <summary>Sends the first event, then a chunk whose size is over 64 bits.</summary>
    ImpossibleChunk,

    /// <summary>The answer has a chunk of 2^64 - 1 bytes, and ends after a few of them.</summary>
    HugeChunk,
}

/// <summary>An OpenAI-compatible server on real sockets, HTTP/1.1 by hand. It announces no closing of connections, whatever it does.</summary>
internal sealed class RawServer : IAsyncDisposable
{
    private readonly Func<string, int, Behaviour> _behave;
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<Socket, bool> _open = [];
    private readonly TaskCompletionSource _left = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _accepting;
    private int _accepted;
    private int _posts;

    /// <param name="behave">From the method and the number of the request on its connection, from 0.</param>
    public RawServer(Func<string, int, Behaviour> behave)
    {
        _behave = behave;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    /// <summary>Connections accepted so far.</summary>
    public int Accepted => Volatile.Read(ref _accepted);

    /// <summary>Generation requests received so far.</summary>
    public int Posts => Volatile.Read(ref _posts);

    /// <summary>Completes when the client has closed a connection whose answer hangs.</summary>
    public Task Left => _left.Task;

    public Task<IInferenceEngine> ConnectAsync() => OpenAiEngineFactory.ConnectAsync(
        new OpenAiEngineOptions { BaseUrl = new Uri($"http://{_listener.LocalEndpoint}"), Kind = "ollama", Slots = 64 },
        TimeProvider.System,
        cancellationToken: TestContext.Current.CancellationToken);

    /// <summary>Closes all connections, as a server does that finds them idle.</summary>
    public void CloseAll()
    {
        foreach (var socket in _open.Keys)
        {
            try
            {
                socket.Shutdown(SocketShutdown.Both);
            }
            catch (Exception exception) when (exception is ObjectDisposedException or SocketException)
            {
                // The client was faster.
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _accepting;
        _listener.Dispose();
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        var serving = new List<Task>();
        try
        {
            while (true)
            {
                var socket = await _listener.AcceptSocketAsync(_stop.Token);
                Interlocked.Increment(ref _accepted);
                serving.Add(ServeAsync(socket));
            }
        }
        catch (OperationCanceledException)
        {
            // The test is over.
        }

        await Task.WhenAll(serving);
    }

    private async Task ServeAsync(Socket socket)
    {
        using var connection = socket;
        _open[socket] = true;
        await using var stream = new NetworkStream(socket);
        try
        {
            for (var number = 0; await ReadAsync(stream) is { } head; number++)
            {
                if (!await AnswerAsync(stream, head, _behave(head.Split(' ')[0], number)))
                {
                    break;
                }
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException or SocketException)
        {
            // The test is over, or the client closed the connection.
        }
        finally
        {
            _open.TryRemove(socket, out _);
        }
    }

    private async Task<bool> AnswerAsync(NetworkStream stream, string head, Behaviour behaviour)
    {
        var isPost = head.StartsWith("POST", StringComparison.Ordinal);
        _ = isPost ? Interlocked.Increment(ref _posts) : 0;
        switch (behaviour)
        {
            case Behaviour.Reset:
                stream.Socket.LingerState = new LingerOption(enable: true, seconds: 0);
                return false;
            case Behaviour.CloseUnanswered:
                return false;
            case Behaviour.CloseInHeaders:
                await SendAsync(stream, "HTTP/1.1 200 OK\r\nContent-Type: te");
                return false;
            case Behaviour.ImpossibleChunk:
                await SendAsync(stream, Stream("""{"choices":[{"delta":{"content":"a"}}]}""") + "FFFFFFFFFFFFFFFFF\r\ndata: {}\n\n\r\n");
                await WaitUntilLeftAsync(stream);
                return false;
            case Behaviour.HugeChunk:
                await SendAsync(stream, Stream("""{"choices":[{"delta":{"content":"a"}}]}""") + "FFFFFFFFFFFFFFFF\r\ndata: {}\n\n\r\n");
                return false;
            case Behaviour.Hang:
                await SendAsync(stream, Stream("""{"choices":[{"delta":{"content":"a"}}]}"""));
                await WaitUntilLeftAsync(stream);
                return false;
        }

        await SendAsync(stream, isPost
            ? Stream("""{"choices":[{"delta":{"content":"a"}}]}""", """{"choices":[{"delta":{},"finish_reason":"stop"}]}""", "[DONE]") + "0\r\n\r\n"
            : Json(head.Contains("version", StringComparison.Ordinal) ? """{"version":"1"}""" : """{"data":[{"id":"a"}]}"""));
        return behaviour == Behaviour.Keep;
    }

    private async Task WaitUntilLeftAsync(NetworkStream stream)
    {
        try
        {
            Assert.Equal(0, await stream.ReadAsync(new byte[1], _stop.Token));
        }
        catch (IOException)
        {
            // Closed by a reset.
        }

        _left.TrySetResult();
    }

    private static string Json(string body) => $"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}";

    private static string Stream(params string[] events) => "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        + string.Concat(events.Select(data => $"data: {data}\n\n").Select(data => $"{data.Length:x}\r\n{data}\r\n"));

    private static async Task SendAsync(NetworkStream stream, string text) => await stream.WriteAsync(Encoding.ASCII.GetBytes(text));

    /// <summary>Reads a request with its body; null at the end of the connection.</summary>
    private async Task<string?> ReadAsync(NetworkStream stream)
    {
        var read = new StringBuilder();
        var one = new byte[1];
        while (!read.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            if (await stream.ReadAsync(one, _stop.Token) == 0)
            {
                return null;
            }

            read.Append((char)one[0]);
        }

        var head = read.ToString();
        var length = head.Split("\r\n").FirstOrDefault(line => line.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase));
        await stream.ReadExactlyAsync(new byte[length is null ? 0 : int.Parse(length.Split(':')[1], System.Globalization.CultureInfo.InvariantCulture)], _stop.Token);
        return head;
    }
}
