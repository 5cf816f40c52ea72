using System.Net;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.Extensions.DependencyInjection;
using Skein.Engines;
using Skein.Protocol.V1;
using Skein.Serving.Grpc;

namespace Skein.Serving.Tests;

/// <summary>A replica on a free loopback port, and a client of it whose every call has a deadline.</summary>
internal sealed class TestReplica : IAsyncDisposable
{
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    private readonly CancellationTokenSource _deadline = new(Deadline, TimeProvider.System);
    private readonly GrpcChannel _channel;

    private TestReplica(ReplicaApp app)
    {
        App = app;
        _channel = GrpcChannel.ForAddress($"http://{app.Endpoint}", new GrpcChannelOptions { MaxSendMessageSize = null, MaxReceiveMessageSize = null });
        Client = new Inference.InferenceClient(_channel);
    }

    public ReplicaApp App { get; }

    public IReplicaControl Control => App.Control;

    public Inference.InferenceClient Client { get; }

    public ChannelBase Channel => _channel;

    public CancellationToken Token => _deadline.Token;

    public static async Task<TestReplica> StartAsync(IInferenceEngine engine, ReplicaOptions? options = null, TimeProvider? time = null)
    {
        var app = ReplicaApp.Build(
            (options ?? new ReplicaOptions()) with { Endpoint = new IPEndPoint(IPAddress.Loopback, 0) },
            engine,
            builder => builder.Services.AddSingleton(time ?? TimeProvider.System));
        await app.StartAsync();
        return new TestReplica(app);
    }

    public CallStream Generate(GenerateRequest? request = null, CancellationToken cancellationToken = default) =>
        new(Client.Generate(request ?? new GenerateRequest(), cancellationToken: cancellationToken.CanBeCanceled ? cancellationToken : Token), Token);

    public async ValueTask DisposeAsync()
    {
        await AbortAsync();
        await App.DisposeAsync();
        _channel.Dispose();
        _deadline.Dispose();
    }

    /// <summary>Closes every connection at once, as when the process is killed.</summary>
    public async Task AbortAsync()
    {
        try
        {
            await App.StopAsync(new CancellationToken(canceled: true));
        }
        catch (OperationCanceledException)
        {
            // The host throws this when it is stopped without grace.
        }
    }
}

/// <summary>One call's frames, as a caller reads them: without heartbeats unless requested, because a busy machine can insert them anywhere.</summary>
internal sealed class CallStream(AsyncServerStreamingCall<GenerateFrame> call, CancellationToken deadline) : IDisposable
{
    /// <summary>The next frame, heartbeats included.</summary>
    public async Task<GenerateFrame> NextOrBeatAsync()
    {
        Assert.True(await call.ResponseStream.MoveNext(deadline), "the stream ended");
        return call.ResponseStream.Current;
    }

    public async Task<GenerateFrame> NextAsync()
    {
        GenerateFrame frame;
        do
        {
            frame = await NextOrBeatAsync();
        }
        while (IsBeat(frame));

        return frame;
    }

    public async Task<List<GenerateFrame>> RestAsync()
    {
        var frames = new List<GenerateFrame>();
        while (await call.ResponseStream.MoveNext(deadline))
        {
            if (!IsBeat(call.ResponseStream.Current))
            {
                frames.Add(call.ResponseStream.Current);
            }
        }

        return frames;
    }

    public Task<RpcException> FailureAsync() => Assert.ThrowsAsync<RpcException>(RestAsync);

    public void Dispose() => call.Dispose();

    private static bool IsBeat(GenerateFrame frame) => frame is { Count: 0, Start: null, Finish: null };
}
