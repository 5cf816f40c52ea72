using System.Buffers;
using System.Net.Sockets;
using System.Text;

namespace Skein.Gateway.Tests.Api;

/// <summary>Raw HTTP/1.1: the bytes that the server sends until it closes.</summary>
internal sealed class RawHttp : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    /// <param name="headers">Sent in place of a correct Content-Length.</param>
    public static async Task<RawHttp> PostAsync(Uri server, string path, string json, int? receiveBuffer = null, string headers = "")
    {
        var http = new RawHttp();
        if (receiveBuffer is { } bytes)
            http._socket.ReceiveBufferSize = bytes;
        await http._socket.ConnectAsync(server.Host, server.Port);
        await http.SendAsync($"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{(headers.Length > 0 ? headers : $"Content-Length: {Encoding.UTF8.GetByteCount(json)}")}\r\n\r\n{json}");
        return http;
    }

    /// <summary>Bytes that have arrived and were not read.</summary>
    public int Available => _socket.Available;

    /// <summary>Sends any request, with all its lines.</summary>
    public static async Task<RawHttp> SendAsync(Uri server, string request)
    {
        var http = new RawHttp();
        await http._socket.ConnectAsync(server.Host, server.Port);
        await http.SendAsync(request);
        return http;
    }

    /// <summary>Sends more of a request.</summary>
    public async Task SendAsync(string text) => await _socket.SendAsync(Encoding.UTF8.GetBytes(text));

    /// <summary>Everything up to the server's FIN. A reset fails.</summary>
    public Task<string> ReadToEndAsync() => ReadAsync(until: null);

    /// <summary>Everything up to a text, inclusive.</summary>
    public Task<string> ReadUntilAsync(string text) => ReadAsync(Encoding.ASCII.GetBytes(text));

    /// <summary>Closes the connection with a reset.</summary>
    public void Reset()
    {
        _socket.LingerState = new LingerOption(enable: true, seconds: 0);
        _socket.Close();
    }

    public void Dispose() => _socket.Dispose();

    /// <summary>The bodies of the chunks, and whether the final one came.</summary>
    public static (IReadOnlyList<string> Chunks, bool IsTerminated) Dechunk(string response)
    {
        var position = response.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4;
        var chunks = new List<string>();
        while (position < response.Length)
        {
            var line = response.IndexOf("\r\n", position, StringComparison.Ordinal);
            var size = Convert.ToInt32(response[position..line], 16);
            if (size == 0)
                return (chunks, true);
            chunks.Add(response.Substring(line + 2, size));
            position = line + 2 + size + 2;
        }

        return (chunks, false);
    }

    private async Task<string> ReadAsync(byte[]? until)
    {
        var all = new ArrayBufferWriter<byte>();
        while (true)
        {
            var count = await _socket.ReceiveAsync(all.GetMemory(64 << 10)).AsTask().Within();
            all.Advance(count);
            if (count == 0 || (until is not null && all.WrittenSpan.IndexOf(until) >= 0))
                return Encoding.Latin1.GetString(all.WrittenSpan);
        }
    }
}
