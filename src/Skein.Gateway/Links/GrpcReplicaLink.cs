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
        while (await MoveNextAsync(call, cancellationToken))
            yield return call.ResponseStream.Current;
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

    private static async ValueTask<bool> MoveNextAsync(AsyncServerStreamingCall<GenerateFrame> call, CancellationToken cancellationToken)
    {
        try
        {
            return await call.ResponseStream.MoveNext(cancellationToken);
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
            // A connection that could not be made, or was closed here, is told as a cancel; the call's status knows better.
            call.Dispose();
            Status status = call.GetStatus();
            throw new LinkException(LinkErrors.OfConnection(status.DebugException) ?? LinkError.ConnectionLost, status.Detail, load: null, error);
        }
    }

    public static LinkException Gone(Replica replica) => new(LinkError.Unreachable, $"{replica.Id} left the fleet");
}
