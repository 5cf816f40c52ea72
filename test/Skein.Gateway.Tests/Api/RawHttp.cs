using System.Buffers;
using System.Net.Sockets;
using System.Text;

namespace Skein.Gateway.Tests.Api;

/// <summary>HTTP/1.1 without a client's mercy: what the server sent, byte for byte, until it closes.</summary>
internal sealed class RawHttp : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    public static async Task<RawHttp> PostAsync(Uri server, string path, string json, int? receiveBuffer = null)
    {
        var http = new RawHttp();
        if (receiveBuffer is { } bytes)
            http._socket.ReceiveBufferSize = bytes;
        await http._socket.ConnectAsync(server.Host, server.Port);
        await http.SendAsync($"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {Encoding.UTF8.GetByteCount(json)}\r\n\r\n{json}");
        return http;
    }

    /// <summary>Everything up to the server's FIN. A reset fails.</summary>
    public Task<string> ReadToEndAsync() => ReadAsync(_ => false);

    /// <summary>Everything up to and with a text.</summary>
    public Task<string> ReadUntilAsync(string text) => ReadAsync(soFar => soFar.Contains(text, StringComparison.Ordinal));

    /// <summary>Closes without saying goodbye: the peer sees a reset.</summary>
    public void Reset()
    {
        _socket.LingerState = new LingerOption(enable: true, seconds: 0);
        _socket.Close();
    }

    public void Dispose() => _socket.Dispose();

    /// <summary>The bodies of the chunks, and whether the final one came.</summary>
    public static (IReadOnlyList<string> Chunks, bool IsTerminated) Dechunk(string response)
    {
        var rest = response[(response.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..];
        var chunks = new List<string>();
        while (rest.Length > 0)
        {
            var line = rest.IndexOf("\r\n", StringComparison.Ordinal);
            var size = Convert.ToInt32(rest[..line], 16);
            if (size == 0)
                return (chunks, true);
            chunks.Add(rest.Substring(line + 2, size));
            rest = rest[(line + 2 + size + 2)..];
        }

        return (chunks, false);
    }

    private async Task SendAsync(string text) => await _socket.SendAsync(Encoding.UTF8.GetBytes(text));

    private async Task<string> ReadAsync(Func<string, bool> isEnough)
    {
        var all = new ArrayBufferWriter<byte>();
        while (true)
        {
            var count = await _socket.ReceiveAsync(all.GetMemory(64 << 10)).AsTask().Within();
            all.Advance(count);
            if (count == 0 || isEnough(Encoding.Latin1.GetString(all.WrittenSpan)))
                return Encoding.Latin1.GetString(all.WrittenSpan);
        }
    }
}
