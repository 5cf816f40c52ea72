using System.Net.Sockets;
using Skein.Membership.Codec;

namespace Skein.Membership.Transport;

/// <summary>One packet on a TCP stream: a 4-byte big-endian length, then the packet.</summary>
internal static class StreamFrame
{
    private const int FirstBuffer = 4096;

    public static async Task WriteAsync(Socket socket, ReadOnlyMemory<byte> packet, CancellationToken cancellationToken)
    {
        var length = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(length, packet.Length);
        await using var stream = new NetworkStream(socket);
        await stream.WriteAsync(length, cancellationToken);
        await stream.WriteAsync(packet, cancellationToken);
    }

    /// <summary>Returns null if the peer closed early, announced an invalid length, or exhausted the budget that all incomplete packets share.</summary>
    public static async Task<byte[]?> ReadAsync(Socket socket, ByteBudget? budget, CancellationToken cancellationToken)
    {
        var header = new byte[4];
        await using var stream = new NetworkStream(socket);
        if (await stream.ReadAtLeastAsync(header, header.Length, throwOnEndOfStream: false, cancellationToken) < header.Length)
            return null;
        var length = BinaryPrimitives.ReadInt32BigEndian(header);
        if (length is < PacketHeader.Length or > WireLimits.Stream)
            return null;
        // The buffer grows with the received bytes: an announced length alone allocates nothing.
        var packet = new byte[Math.Min(length, FirstBuffer)];
        var taken = 0;
        try
        {
            for (var filled = 0; ;)
            {
                filled += await stream.ReadAtLeastAsync(packet.AsMemory(filled), packet.Length - filled, throwOnEndOfStream: false, cancellationToken);
                if (filled == length)
                    return packet;
                if (filled < packet.Length)
                    return null;
                var more = Math.Min(length, packet.Length * 2) - packet.Length;
                if (budget is not null && !budget.TryTake(more))
                    return null;
                taken += more;
                Array.Resize(ref packet, packet.Length + more);
            }
        }
        finally
        {
            budget?.Return(taken);
        }
    }
}

/// <summary>A shared limit of bytes. Thread-safe.</summary>
internal sealed class ByteBudget(int maxBytes)
{
    private long _taken;

    /// <summary>Takes that many bytes, or none if fewer are left.</summary>
    public bool TryTake(int bytes)
    {
        if (Interlocked.Add(ref _taken, bytes) <= maxBytes)
            return true;
        Return(bytes);
        return false;
    }

    public void Return(int bytes) => Interlocked.Add(ref _taken, -bytes);
}
