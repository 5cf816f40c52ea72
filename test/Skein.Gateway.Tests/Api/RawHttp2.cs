using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;

namespace Skein.Gateway.Tests.Api;

/// <summary>
/// HTTP/2 in clear text, one request on stream 1, frame by frame. Keeps what arrived before a RST_STREAM, which .NET's own client drops.
/// It reads only on request, and grants the server new window only for what it has read.
/// </summary>
internal sealed class RawHttp2 : IDisposable
{
    private const byte Data = 0, Headers = 1, ResetStream = 3, Settings = 4, WindowUpdate = 8;
    private const byte EndStream = 1, Ack = 1, EndHeaders = 4;

    private readonly TcpClient _tcp = new();

    private NetworkStream Wire => _tcp.GetStream();

    public static async Task<RawHttp2> PostAsync(Uri server, string path, string json)
    {
        var http = new RawHttp2();
        await http._tcp.ConnectAsync(server.Host, server.Port);
        await http.Wire.WriteAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray());
        await http.WriteFrameAsync(Settings, 0, 0, []);
        await http.WriteFrameAsync(Headers, EndHeaders, 1,
            [.. Field(":method", "POST"), .. Field(":scheme", "http"), .. Field(":path", path), .. Field(":authority", "x"), .. Field("content-type", "application/json")]);
        await http.WriteFrameAsync(Data, EndStream, 1, Encoding.UTF8.GetBytes(json));
        return http;
    }

    /// <summary>Text of the response's body, and the code of the RST_STREAM that ended it; null if it ended cleanly.</summary>
    public async Task<(string Body, int? ResetCode)> ReadToEndAsync()
    {
        var body = new StringBuilder();
        var header = new byte[9];
        while (true)
        {
            await Wire.ReadExactlyAsync(header).AsTask().Within();
            var payload = new byte[(header[0] << 16) | (header[1] << 8) | header[2]];
            await Wire.ReadExactlyAsync(payload).AsTask().Within();
            var (type, flags, stream) = (header[3], header[4], BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(5)));
            switch (type)
            {
                case Settings when (flags & Ack) == 0:
                    await WriteFrameAsync(Settings, Ack, 0, []);
                    break;
                case ResetStream:
                    return (body.ToString(), BinaryPrimitives.ReadInt32BigEndian(payload));
                case Data:
                    body.Append(Encoding.ASCII.GetString(payload));
                    if ((flags & EndStream) != 0)
                        return (body.ToString(), null);
                    if (payload.Length > 0)
                    {
                        await GrantAsync(0, payload.Length);
                        await GrantAsync(stream, payload.Length);
                    }

                    break;
            }
        }
    }

    public void Dispose() => _tcp.Dispose();

    private Task GrantAsync(int stream, int bytes)
    {
        var payload = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(payload, bytes);
        return WriteFrameAsync(WindowUpdate, 0, stream, payload);
    }

    private async Task WriteFrameAsync(byte type, byte flags, int stream, byte[] payload)
    {
        var frame = new byte[9 + payload.Length];
        BinaryPrimitives.WriteInt32BigEndian(frame, payload.Length << 8);
        frame[3] = type;
        frame[4] = flags;
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(5), stream);
        payload.CopyTo(frame, 9);
        await Wire.WriteAsync(frame);
    }

    /// <summary>The simplest form of HPACK: a literal without indexing, neither name nor value compressed.</summary>
    private static byte[] Field(string name, string value) =>
        [0, (byte)name.Length, .. Encoding.ASCII.GetBytes(name), (byte)value.Length, .. Encoding.ASCII.GetBytes(value)];
}
