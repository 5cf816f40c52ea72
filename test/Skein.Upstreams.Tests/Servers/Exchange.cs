using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Skein.Upstreams.Tests.Servers;

/// <summary>One connection of a <see cref="ScriptedServer"/>: reads requests, writes exactly what an answer says.</summary>
internal sealed class Exchange(Socket socket, CancellationToken stop) : IAsyncDisposable
{
    private readonly NetworkStream _stream = new(socket, ownsSocket: true);
    private readonly MemoryStream _read = new();
    private readonly byte[] _buffer = new byte[16 << 10];
    private readonly TaskCompletionSource _left = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _watching = Task.CompletedTask;
    private ScriptedRequest? _request;
    private int _requests;

    public ScriptedRequest Request => _request!;

    /// <summary>Completes when the client has closed the connection during an answer.</summary>
    public Task Left => _left.Task;

    /// <summary>Cancelled when the server stops.</summary>
    public CancellationToken Stop => stop;

    /// <summary>Whether it waits for a request.</summary>
    public bool IsIdle { get; private set; }

    /// <summary>Whether an answer is under way.</summary>
    public bool IsAnswering { get; set; }

    /// <summary>Bytes written during the answer.</summary>
    public long Written { get; private set; }

    /// <summary>Writes bytes as they are.</summary>
    public Task SendAsync(string text) => SendBytesAsync(Encoding.UTF8.GetBytes(text));

    public async Task SendBytesAsync(byte[] bytes)
    {
        await _stream.WriteAsync(bytes, stop);
        Written += bytes.Length;
    }

    /// <summary>Writes the headers of an event stream in chunks.</summary>
    public Task StreamAsync(string headers = "") =>
        SendAsync($"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{headers}Transfer-Encoding: chunked\r\n\r\n");

    /// <summary>Writes one chunk.</summary>
    public Task ChunkAsync(string text) =>
        SendAsync($"{Encoding.UTF8.GetByteCount(text).ToString("x", CultureInfo.InvariantCulture)}\r\n{text}\r\n");

    /// <summary>Writes one event as a chunk.</summary>
    public Task EventAsync(string data) => ChunkAsync($"data: {data}\n\n");

    /// <summary>Writes a piece of text as the request's endpoint sends it.</summary>
    public Task TextAsync(string text) => EventAsync(Events.Text(Request.IsChat, text));

    /// <summary>Writes the finish reason as the request's endpoint sends it.</summary>
    public Task FinishAsync(string reason = "stop") => EventAsync(Events.Finish(Request.IsChat, reason));

    public Task DoneAsync() => EventAsync("[DONE]");

    /// <summary>Writes the last chunk.</summary>
    public async Task<Ending> EndAsync()
    {
        await SendAsync("0\r\n\r\n");
        return Ending.KeepAlive;
    }

    /// <summary>Silence of a length that matters to the test, on the clock that the gateway uses.</summary>
    public Task SilenceAsync(TimeSpan duration) => Task.WhenAny(Task.Delay(duration, TimeProvider.System, stop), Left);

    /// <summary>Waits until the test lets the answer go on, or the client has left.</summary>
    public Task UntilAsync(Task gate) => Task.WhenAny(gate, Left).WaitAsync(TimeSpan.FromSeconds(60), TimeProvider.System, stop);

    /// <summary>Reads the next request; null at the end of the connection.</summary>
    public async Task<ScriptedRequest?> ReadRequestAsync()
    {
        await _watching;
        IsIdle = _read.Length == 0;
        int end;
        while ((end = Text.IndexOf("\r\n\r\n", StringComparison.Ordinal)) < 0)
        {
            if (!await FillAsync())
                return null;
            IsIdle = false;
        }
        var lines = Text[..end].Split("\r\n");
        var first = lines[0].Split(' ');
        List<(string Name, string Value)> headers = [.. lines.Skip(1).Select(line => line.Split(':', 2)).Select(pair => (pair[0].Trim(), pair[1].Trim()))];
        Take(end + 4);
        var body = new MemoryStream();
        if (Find(headers, "Transfer-Encoding") is not null)
            await ReadChunksAsync(body);
        else if (Find(headers, "Content-Length") is { } length)
            body.Write(await TakeAsync(int.Parse(length, CultureInfo.InvariantCulture)));
        return new ScriptedRequest(first[0], first[1], headers, Encoding.UTF8.GetString(body.ToArray())) { NumberOnConnection = _requests++ };
    }

    /// <summary>Starts to watch for a client that leaves.</summary>
    public void Begin(ScriptedRequest request)
    {
        _request = request;
        Written = 0;
        IsAnswering = true;
        _watching = WatchAsync();
    }

    public void Reset() => socket.LingerState = new LingerOption(enable: true, seconds: 0);

    public void ShutDown()
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

    public async ValueTask DisposeAsync()
    {
        await _stream.DisposeAsync();
        await _read.DisposeAsync();
    }

    private string Text => Encoding.Latin1.GetString(_read.GetBuffer(), 0, (int)_read.Length);

    private static string? Find(List<(string Name, string Value)> headers, string name) =>
        headers.Find(header => header.Name.Equals(name, StringComparison.OrdinalIgnoreCase)).Value;

    // A read that is pending during the answer sees the client leave; what it reads belongs to the next request.
    private async Task WatchAsync()
    {
        try
        {
            if (!await FillAsync())
                _left.TrySetResult();
        }
        catch (Exception exception) when (exception is IOException or SocketException or ObjectDisposedException or OperationCanceledException)
        {
            _left.TrySetResult();
        }
    }

    private async Task<bool> FillAsync()
    {
        var count = await _stream.ReadAsync(_buffer, stop);
        _read.Write(_buffer, 0, count);
        return count > 0;
    }

    private async Task<byte[]> TakeAsync(int count)
    {
        while (_read.Length < count)
        {
            if (!await FillAsync())
                throw new IOException("the client closed the connection in its request");
        }
        return Take(count);
    }

    private byte[] Take(int count)
    {
        var all = _read.ToArray();
        _read.SetLength(0);
        _read.Write(all, count, all.Length - count);
        return all[..count];
    }

    private async Task ReadChunksAsync(MemoryStream body)
    {
        while (true)
        {
            int end;
            while ((end = Text.IndexOf("\r\n", StringComparison.Ordinal)) < 0)
            {
                if (!await FillAsync())
                    throw new IOException("the client closed the connection in its request");
            }
            var size = int.Parse(Encoding.ASCII.GetString(Take(end + 2)).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            body.Write((await TakeAsync(size + 2)).AsSpan(0, size));
            if (size == 0)
                return;
        }
    }
}
