using Grpc.Core;
using Skein.Protocol.V1;

namespace Skein.Serving.Tests;

/// <summary>A gateway's end of a bus, read only when a test asks for something.</summary>
internal sealed class TestBus(TestReplica replica) : IDisposable
{
    private readonly AsyncDuplexStreamingCall<BusOrders, BusFrames> _call = replica.Client.Bus(cancellationToken: replica.Token);
    private readonly Queue<GenerateFrame> _frames = [];
    private readonly Queue<BusEnd> _ends = [];
    private uint _offer;

    public Task SayAsync(BusOrders orders) => _call.RequestStream.WriteAsync(orders, replica.Token);

    public async Task<GenerateFrame> NextFrameAsync()
    {
        while (_frames.Count == 0)
        {
            await ReadAsync();
        }

        return _frames.Dequeue();
    }

    public async Task<BusEnd> NextEndAsync()
    {
        while (_ends.Count == 0)
        {
            await ReadAsync();
        }

        return _ends.Dequeue();
    }

    public async Task<GenerateFrame> NextStartAsync()
    {
        while (true)
        {
            if (await NextFrameAsync() is { Start: not null } frame)
            {
                return frame;
            }
        }
    }

    public async Task<uint> NextOfferAsync()
    {
        while (_offer == 0)
        {
            await ReadAsync();
        }

        return Interlocked.Exchange(ref _offer, 0);
    }

    public async Task<RpcException> FailureAsync() => await Assert.ThrowsAsync<RpcException>(async () =>
    {
        while (true)
        {
            await ReadAsync();
        }
    });

    public void Dispose() => _call.Dispose();

    private async Task ReadAsync()
    {
        Assert.True(await _call.ResponseStream.MoveNext(replica.Token), "the bus ended");
        _offer = _call.ResponseStream.Current.Offer != 0 ? _call.ResponseStream.Current.Offer : _offer;
        foreach (var frame in _call.ResponseStream.Current.Frames)
        {
            _frames.Enqueue(frame);
        }

        foreach (var end in _call.ResponseStream.Current.Ends)
        {
            _ends.Enqueue(end);
        }
    }
}
