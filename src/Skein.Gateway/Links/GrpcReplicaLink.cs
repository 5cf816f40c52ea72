using System.Runtime.CompilerServices;
using Grpc.Core;
using Skein.Protocol.V1;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Links;

/// <summary>One gRPC call per attempt, over one connection per replica.</summary>
internal sealed class GrpcReplicaLink(ReplicaChannels channels) : IReplicaLink
{
    public async IAsyncEnumerable<GenerateFrame> GenerateAsync(
        Replica replica, GenerateRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using AsyncServerStreamingCall<GenerateFrame> call = Start(replica, request, cancellationToken);
        IAsyncStreamReader<GenerateFrame> frames = call.ResponseStream;
        while (await MoveNextAsync(frames, cancellationToken))
            yield return frames.Current;
    }

    public Task ContinueAsync(Replica replica, ContinueRequest request, CancellationToken cancellationToken) =>
        CallAsync(replica, client => client.ContinueAsync(request, cancellationToken: cancellationToken), cancellationToken);

    public Task ProbeAsync(Replica replica, CancellationToken cancellationToken) =>
        CallAsync(replica, client => client.DescribeAsync(new DescribeRequest(), cancellationToken: cancellationToken), cancellationToken);

    private async Task CallAsync<TResponse>(
        Replica replica, Func<Inference.InferenceClient, AsyncUnaryCall<TResponse>> start, CancellationToken cancellationToken)
    {
        try
        {
            using AsyncUnaryCall<TResponse> call = start(channels.ClientOf(replica));
            await call;
        }
        catch (RpcException error)
        {
            throw LinkErrors.From(error);
        }
        catch (ObjectDisposedException)
        {
            throw Gone(replica);
        }
        catch (OperationCanceledException error) when (!cancellationToken.IsCancellationRequested)
        {
            throw Closed(error);
        }
    }

    private AsyncServerStreamingCall<GenerateFrame> Start(Replica replica, GenerateRequest request, CancellationToken cancellationToken)
    {
        try
        {
            return channels.ClientOf(replica).Generate(request, cancellationToken: cancellationToken);
        }
        catch (ObjectDisposedException)
        {
            throw Gone(replica);
        }
    }

    private static async ValueTask<bool> MoveNextAsync(IAsyncStreamReader<GenerateFrame> frames, CancellationToken cancellationToken)
    {
        try
        {
            return await frames.MoveNext(cancellationToken);
        }
        catch (RpcException error)
        {
            throw LinkErrors.From(error);
        }
        catch (OperationCanceledException error) when (!cancellationToken.IsCancellationRequested)
        {
            throw Closed(error);
        }
    }

    private static LinkException Gone(Replica replica) => new(LinkError.Unreachable, $"{replica.Id} left the fleet");

    // The channel was closed under the call: its replica left, or this gateway stops.
    private static LinkException Closed(OperationCanceledException error) =>
        new(LinkError.ConnectionLost, "the connection was closed", load: null, error);
}
