using System.Runtime.CompilerServices;

namespace Skein.Gateway.Links.Bus;

/// <summary>Reaches replicas over gRPC with one call per attempt. Thread-safe.</summary>
internal sealed class GrpcReplicaLink(ReplicaChannels channels) : IReplicaTransport
{
    public async IAsyncEnumerable<GenerateFrame> GenerateAsync(
        Replica replica, GenerateRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var use = channels.Use(replica);
        using var call = use.Channel.Client.Generate(request, cancellationToken: cancellationToken);
        while (await MoveNextAsync(call, cancellationToken))
            yield return call.ResponseStream.Current;
    }

    public async IAsyncEnumerable<InvokeFrame> InvokeAsync(
        Replica replica, InvokeRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var use = channels.Use(replica);
        using var call = use.Channel.Client.Invoke(request, cancellationToken: cancellationToken);
        while (await MoveNextAsync(call, cancellationToken))
            yield return call.ResponseStream.Current;
    }

    public Task ContinueAsync(Replica replica, ContinueRequest request, CancellationToken cancellationToken) =>
        CallAsync(replica, client => client.ContinueAsync(request, cancellationToken: cancellationToken), cancellationToken);

    public Task<DescribeResponse> DescribeAsync(Replica replica, CancellationToken cancellationToken) =>
        CallAsync(replica, client => client.DescribeAsync(new DescribeRequest(), cancellationToken: cancellationToken), cancellationToken);

    private async Task<TResponse> CallAsync<TResponse>(
        Replica replica, Func<Inference.InferenceClient, AsyncUnaryCall<TResponse>> start, CancellationToken cancellationToken)
    {
        using var use = channels.Use(replica);
        try
        {
            using var call = start(use.Channel.Client);
            return await call;
        }
        catch (RpcException error)
        {
            throw LinkFaults.From(error);
        }
        catch (ObjectDisposedException)
        {
            throw ReplicaChannels.Gone(replica);
        }
        catch (OperationCanceledException error) when (!cancellationToken.IsCancellationRequested)
        {
            throw Broken(error, default);
        }
    }

    private static async ValueTask<bool> MoveNextAsync<TFrame>(AsyncServerStreamingCall<TFrame> call, CancellationToken cancellationToken)
    {
        try
        {
            return await call.ResponseStream.MoveNext(cancellationToken);
        }
        catch (RpcException error) when (cancellationToken.IsCancellationRequested)
        {
            // A read that races with the cancel ends as if the connection were broken, which would take a healthy replica out.
            throw new OperationCanceledException("the attempt was cancelled", error, cancellationToken);
        }
        catch (RpcException error) when (error.StatusCode == StatusCode.Unimplemented && typeof(TFrame) == typeof(InvokeFrame))
        {
            throw new FaultException(Fault.Unsupported, "the replica's release does not pass calls on; allowed: chats and completions", error);
        }
        catch (RpcException error)
        {
            throw LinkFaults.From(error);
        }
        catch (OperationCanceledException error) when (!cancellationToken.IsCancellationRequested)
        {
            call.Dispose();
            throw Broken(error, call.GetStatus());
        }
    }

    // A connection that could not be made, or was closed here, shows as a cancel; the status of the call may be more precise.
    private static FaultException Broken(OperationCanceledException error, Status status) => new(
        LinkFaults.OfConnection(status.DebugException ?? error) ?? Fault.ConnectionLost,
        string.IsNullOrEmpty(status.Detail) ? error.Message : status.Detail, error);
}
