using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;

namespace Skein.EndToEnd.Attacks;

/// <summary>Attacks on the gRPC port, frame by frame.</summary>
[Collection(AttackedGateway.Name)]
public sealed class Http2AttackTests(AttackedGateway gateway)
{
    private const byte Headers = 1, ResetStream = 3, Settings = 4, Ping = 6, Continuation = 9;
    private const byte EndHeaders = 4;
    private static readonly TimeSpan Attack = TimeSpan.FromSeconds(1.5);

    /// <summary>CVE-2023-44487: 13,000 resets a second on 4 connections stalled the gateway for 8 s, and its replicas were blamed.</summary>
    [Fact]
    public Task RapidReset_OnFourConnections_ConnectionsAreClosed() => gateway.WithstandsAsync(() => Task.WhenAll(Enumerable.Range(0, 4).Select(async _ =>
    {
        var closed = 0;
        await FloodAsync(stream => [.. Frame(Headers, EndHeaders, stream, Request()), .. Frame(ResetStream, 0, stream, [0, 0, 0, 8])], () => closed++);
        Assert.InRange(closed, 1, int.MaxValue);
    })));

    /// <summary>CVE-2024-27983 and others: headers without an end.</summary>
    [Fact]
    public Task ContinuationFlood_IsCutOff() => gateway.WithstandsAsync(async () =>
    {
        using var client = await OpenAsync();
        await client.GetStream().WriteAsync(Frame(Headers, 0, 1, Request()));
        Assert.True(await IsClosedAsync(client, _ => Frame(Continuation, 0, 1, Field("x-a", new string('a', 100))), most: 100_000), "headers went on for 10 MB");
    });

    [Fact]
    public Task StreamFlood_RequestsThatNeverEnd_AreRefused() => gateway.WithstandsAsync(async () =>
    {
        using var open = new ManyClients();
        for (var i = 0; i < 8; i++)
        {
            open.All.Add(await OpenAsync());
            var frames = new List<byte>();
            for (var stream = 1; stream < 4000; stream += 2)
                frames.AddRange(Frame(Headers, EndHeaders, stream, Request()));
            try
            {
                await open.All[i].GetStream().WriteAsync(frames.ToArray()).AsTask().WaitAsync(TimeSpan.FromSeconds(2), TimeProvider.System);
            }
            catch (Exception closed) when (closed is IOException or TimeoutException)
            {
                // The gateway has closed the connection, or reads no more of it.
            }
        }
    });

    [Theory]
    [InlineData(Settings)]
    [InlineData(Ping)]
    public Task ControlFlood_AnswersThatAreNeverRead_IsBounded(byte type) => gateway.WithstandsAsync(async () =>
    {
        using var client = await OpenAsync();
        var frames = Enumerable.Range(0, 1000).SelectMany(_ => Frame(type, 0, 0, type == Ping ? new byte[8] : [])).ToArray();
        for (var i = 0; i < 2000; i++)
        {
            try
            {
                // Nothing is read: what the gateway answers must not pile up there.
                await client.GetStream().WriteAsync(frames).AsTask().WaitAsync(TimeSpan.FromSeconds(1), TimeProvider.System);
            }
            catch (Exception stopped) when (stopped is IOException or TimeoutException)
            {
                return;
            }
        }
    });

    /// <summary>Sends the frames of one stream after another for some seconds; opens a new connection when one is closed.</summary>
    private async Task FloodAsync(Func<int, byte[]> frames, Action closed)
    {
        var begun = TimeProvider.System.GetTimestamp();
        while (TimeProvider.System.GetElapsedTime(begun) < Attack)
        {
            using var client = await OpenAsync();
            try
            {
                for (var stream = 1; TimeProvider.System.GetElapsedTime(begun) < Attack; stream += 200)
                    await client.GetStream().WriteAsync(Enumerable.Range(0, 100).SelectMany(i => frames(stream + (2 * i))).ToArray());
            }
            catch (IOException)
            {
                closed();
            }
        }
    }

    private static async Task<bool> IsClosedAsync(TcpClient client, Func<int, byte[]> frame, int most)
    {
        try
        {
            for (var i = 0; i < most; i += 100)
                await client.GetStream().WriteAsync(Enumerable.Range(i, 100).SelectMany(frame).ToArray());
            return false;
        }
        catch (IOException)
        {
            return true;
        }
    }

    private async Task<TcpClient> OpenAsync()
    {
        var client = await gateway.ConnectAsync(gateway.Grpc);
        await client.GetStream().WriteAsync((byte[])[.. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, .. Frame(Settings, 0, 0, [])]);
        return client;
    }

    private byte[] Request() =>
    [
        .. Field(":method", "POST"), .. Field(":scheme", "http"), .. Field(":path", "/skein.v1.Inference/Generate"), .. Field(":authority", "x"),
        .. Field("content-type", "application/grpc"), .. Field("te", "trailers"), .. Field("authorization", $"Bearer {gateway.Secret}"),
    ];

    private static byte[] Frame(byte type, byte flags, int stream, byte[] payload)
    {
        var frame = new byte[9 + payload.Length];
        BinaryPrimitives.WriteInt32BigEndian(frame, payload.Length << 8);
        frame[3] = type;
        frame[4] = flags;
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(5), stream);
        payload.CopyTo(frame, 9);
        return frame;
    }

    /// <summary>The simplest form of HPACK: a literal without indexing, neither name nor value compressed. Shorter than 127 bytes each.</summary>
    private static byte[] Field(string name, string value) =>
        [0, (byte)name.Length, .. Encoding.ASCII.GetBytes(name), (byte)value.Length, .. Encoding.ASCII.GetBytes(value)];
}
