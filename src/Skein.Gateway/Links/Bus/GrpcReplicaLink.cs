using System.Runtime.CompilerServices;
using Grpc.Core;
using Skein.Protocol.V1;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Links.Bus;

/// <summary>One gRPC call per attempt, over one connection per replica.</summary>
internal sealed class GrpcReplicaLink(ReplicaChannels channels) : IReplicaLink
{
    public async IAsyncEnumerable<GenerateFrame> GenerateAsync(
        Replica replica, GenerateRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var call = Start(replica, request, cancellationToken);
        while (await MoveNextAsync(call, cancellationToken))
            yield return call.ResponseStream.Current;
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
            using var call = start(channels.ClientOf(replica));
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
            throw Broken(error, default);
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
            call.Dispose();
            throw Broken(error, call.GetStatus());
        }
    }

    // A connection that could not be made, or was closed here, is told as a cancel; the call's status may know better.
    private static LinkException Broken(OperationCanceledException error, Status status) => new(
        LinkErrors.OfConnection(status.DebugException ?? error) ?? LinkError.ConnectionLost,
        string.IsNullOrEmpty(status.Detail) ? error.Message : status.Detail, load: null, error);

    public static LinkException Gone(Replica replica) => new(LinkError.Unreachable, $"{replica.Id} left the fleet");
}
