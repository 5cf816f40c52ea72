using System.Buffers.Binary;
using System.Net.Sockets;
using Skein.Membership.Wire;

namespace Skein.Membership.Transport;

/// <summary>One packet on a TCP stream: a 4-byte big-endian length, then the packet.</summary>
internal static class StreamFrame
{
    private const int FirstBuffer = 4096;

    public static async Task WriteAsync(Socket socket, ReadOnlyMemory<byte> packet, CancellationToken cancellationToken)
    {
        byte[] length = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(length, packet.Length);
        await SendAsync(socket, length, cancellationToken);
        await SendAsync(socket, packet, cancellationToken);
    }

    /// <summary>Reads one packet; null where the peer closed early or announced more than is allowed.</summary>
    public static async Task<byte[]?> ReadAsync(Socket socket, CancellationToken cancellationToken)
    {
        byte[] header = new byte[4];
        if (await FillAsync(socket, header, cancellationToken) < header.Length)
            return null;
        int length = BinaryPrimitives.ReadInt32BigEndian(header);
        if (length is < PacketHeader.Length or > WireLimits.Stream)
            return null;
        // The buffer grows with what has come: an announcement alone costs nothing.
        byte[] packet = new byte[Math.Min(length, FirstBuffer)];
        int filled = 0;
        while (true)
        {
            int read = await FillAsync(socket, packet.AsMemory(filled), cancellationToken);
            filled += read;
            if (filled == length)
                return packet;
            if (filled < packet.Length)
                return null;
            Array.Resize(ref packet, Math.Min(length, packet.Length * 2));
        }
    }

    private static async Task SendAsync(Socket socket, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        while (!bytes.IsEmpty)
            bytes = bytes[await socket.SendAsync(bytes, cancellationToken)..];
    }

    private static async Task<int> FillAsync(Socket socket, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        int filled = 0;
        while (filled < buffer.Length && await socket.ReceiveAsync(buffer[filled..], cancellationToken) is > 0 and var read)
            filled += read;
        return filled;
    }
}
