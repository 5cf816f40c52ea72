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

    public async Task ProbeAsync(Replica replica, CancellationToken cancellationToken)
    {
        try
        {
            await channels.ClientOf(replica).DescribeAsync(new DescribeRequest(), cancellationToken: cancellationToken);
        }
        catch (RpcException error)
        {
            throw LinkErrors.From(error);
        }
        catch (ObjectDisposedException)
        {
            throw Gone(replica);
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
        catch (RpcException error) when (cancellationToken.IsCancellationRequested)
        {
            // A read that meets the cancel half way ends as if the connection were broken, which would take a healthy replica out.
            throw new OperationCanceledException("the attempt was cancelled", error, cancellationToken);
        }
        catch (RpcException error)
        {
            throw LinkErrors.From(error);
        }
        catch (OperationCanceledException error) when (!cancellationToken.IsCancellationRequested)
        {
            // The channel was closed under the call: its replica left, or this gateway stops.
            throw new LinkException(LinkError.ConnectionLost, "the connection was closed", load: null, error);
        }
    }

    public static LinkException Gone(Replica replica) => new(LinkError.Unreachable, $"{replica.Id} left the fleet");
}
