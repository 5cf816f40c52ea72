using System.Diagnostics;
using System.Net.Sockets;
using System.Text;

namespace Skein.Upstreams.Tests.Gateways;

/// <summary>One HTTP/1.1 request on a connection of its own, and what comes back, byte for byte.</summary>
internal sealed class Call : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly MemoryStream _read = new();
    private readonly byte[] _buffer = new byte[64 << 10];
    private readonly long _began = Stopwatch.GetTimestamp();

    public static async Task<Call> OpenAsync(int port, string request)
    {
        var call = new Call();
        await call._socket.ConnectAsync("127.0.0.1", port);
        await call._socket.SendAsync(Encoding.UTF8.GetBytes(request));
        return call;
    }

    /// <summary>Reads up to and with a text of the answer.</summary>
    public async Task UntilAsync(string text, int seconds = 20)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(seconds), TimeProvider.System);
        while (!Text.Contains(text, StringComparison.Ordinal))
        {
            if (!await FillAsync(deadline.Token))
                Assert.Fail($"the answer ended without '{text}':\n{Text}");
        }
    }

    /// <summary>Reads to the end of the answer, or of the connection.</summary>
    public async Task<Reply> EndAsync(int seconds = 20)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(seconds), TimeProvider.System);
        try
        {
            while (Reply.Parse(Text, Stopwatch.GetElapsedTime(_began)) is { IsComplete: false } && await FillAsync(deadline.Token))
            {
                // The next part.
            }
        }
        catch (OperationCanceledException)
        {
            Assert.Fail($"the answer did not end within {seconds} s; so far:\n{Text}");
        }
        catch (SocketException)
        {
            // A reset: the answer is not complete.
        }
        return Reply.Parse(Text, Stopwatch.GetElapsedTime(_began));
    }

    public void Dispose()
    {
        _socket.Dispose();
        _read.Dispose();
    }

    // A byte each, so that lengths of chunks fit.
    private string Text => Encoding.Latin1.GetString(_read.GetBuffer(), 0, (int)_read.Length);

    private async Task<bool> FillAsync(CancellationToken deadline)
    {
        var count = await _socket.ReceiveAsync(_buffer, deadline);
        _read.Write(_buffer, 0, count);
        return count > 0;
    }
}
