using Skein.Gateway.Links.Bus;
using System.Net;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Links;

/// <summary>Invalid messages of a replica on a bus.</summary>
public sealed class HostileReplicaTests
{
    [Fact]
    public async Task Bus_StatusThatIsNone_LosesItsAttemptsAndTheNextOneIsNew()
    {
        await using var replica = await FakeReplica.StartAsync(
            streams => new BusFrames { Ends = { new BusEnd { Stream = streams[0], Status = ByteString.CopyFrom(0xff, 0xff, 0xff) } } });
        await using var gateway = new GatewaySide(replica.Address);

        for (var bus = 0; bus < 2; bus++)
        {
            var end = await Assert.ThrowsAsync<FaultException>(() => gateway.Read("x").NextAsync());
            Assert.Equal(Fault.ConnectionLost, end.Fault);
        }
    }

    [Fact]
    public async Task Bus_FramesAndEndsOfStreamsThatAreNot_AreDropped()
    {
        await using var replica = await FakeReplica.StartAsync(streams => new BusFrames
        {
            Frames = { new GenerateFrame { Stream = 4711, Count = 1 }, new GenerateFrame { Count = 1 }, new GenerateFrame { Stream = streams[0], Count = 3 } },
            Ends = { new BusEnd { Stream = 4711 }, new BusEnd { Stream = streams[0] }, new BusEnd { Stream = streams[0] } },
        });
        await using var gateway = new GatewaySide(replica.Address);

        var frames = await gateway.Read("x").RestAsync();

        Assert.Equal([3u], frames.Select(frame => frame.Count));
    }

    [Fact]
    public async Task Bus_MoreThanTheCredit_EndsThatAttempt()
    {
        await using var replica = await FakeReplica.StartAsync(streams =>
        {
            var message = new BusFrames();
            for (var frame = 0; frame < (streams.Count == 1 ? 1 : 100); frame++)
                message.Frames.Add(new GenerateFrame { Stream = streams[0], Count = 1, Text = ByteString.CopyFrom(new byte[1000]) });
            message.Frames.Add(new GenerateFrame { Stream = streams[^1], Count = 1 });
            return message;
        });
        await using var gateway = new GatewaySide(replica.Address);
        var flooded = gateway.Read("flooded");
        await flooded.NextAsync();

        // The frame for the second stream comes after the flood. Once it has arrived, all of the flood has arrived, and none of it was read.
        await using var other = gateway.Read("other");
        await other.NextAsync();
        var end = await Assert.ThrowsAsync<FaultException>(flooded.RestAsync);

        Assert.Equal(Fault.EngineFailed, end.Fault);
        Assert.StartsWith("the replica sent more than the 65536 bytes", end.Message);
    }

    /// <summary>Answers each start with one message, made of the streams that were started on that bus.</summary>
    private sealed class FakeReplica : Inference.InferenceBase, IAsyncDisposable
    {
        private readonly Func<IReadOnlyList<ulong>, BusFrames> _answer;
        private readonly WebApplication _app;

        private FakeReplica(Func<IReadOnlyList<ulong>, BusFrames> answer)
        {
            _answer = answer;
            var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
            builder.Services.AddRouting();
            builder.Services.AddGrpc();
            builder.Services.AddSingleton(this);
            builder.WebHost.UseKestrelCore().ConfigureKestrel(
                kestrel => kestrel.Listen(IPAddress.Loopback, 0, listener => listener.Protocols = HttpProtocols.Http2));
            _app = builder.Build();
            _app.MapGrpcService<FakeReplica>();
        }

        public string Address => new Uri(_app.Urls.First()).Authority;

        public static async Task<FakeReplica> StartAsync(Func<IReadOnlyList<ulong>, BusFrames> answer)
        {
            var replica = new FakeReplica(answer);
            await replica._app.StartAsync();
            return replica;
        }

        public override async Task Bus(IAsyncStreamReader<BusOrders> requestStream, IServerStreamWriter<BusFrames> responseStream, ServerCallContext context)
        {
            var streams = new List<ulong>();
            while (await requestStream.MoveNext(context.CancellationToken))
            {
                foreach (var start in requestStream.Current.Start)
                {
                    streams.Add(start.Stream);
                    await responseStream.WriteAsync(_answer(streams), context.CancellationToken);
                }
            }
        }

        public async ValueTask DisposeAsync()
        {
            using var atOnce = new CancellationTokenSource();
            await atOnce.CancelAsync();
            try
            {
                await _app.StopAsync(atOnce.Token);
            }
            catch (OperationCanceledException)
            {
                // The host throws this when it is stopped without grace.
            }
            await _app.DisposeAsync();
        }
    }
}
