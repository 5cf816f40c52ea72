using Skein.Gateway.Links.Bus;
using Grpc.Core;
using Skein.Protocol.V1;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Links;

/// <summary>Asks a replica what it serves. Thread-safe.</summary>
internal interface IReplicaDescriber
{
    /// <exception cref="LinkException">It did not answer, or with an error.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    Task<DescribeResponse> DescribeAsync(Replica replica, CancellationToken cancellationToken);
}

/// <summary>Keeps what replicas say of themselves. Thread-safe.</summary>
internal interface IDescriptionBook
{
    /// <summary>Takes in an answer.</summary>
    /// <param name="asked">What was known of the replica when it was asked.</param>
    /// <param name="answer">Input from outside: unchecked.</param>
    void Learn(ReplicaDescription asked, DescribeResponse answer);
}

/// <summary>Asks over gRPC. The bus is opened by the way: the first attempt on a replica, which may be somebody's failover, finds it there.</summary>
internal sealed class GrpcReplicaDescriber(ReplicaChannels channels) : IReplicaDescriber
{
    public async Task<DescribeResponse> DescribeAsync(Replica replica, CancellationToken cancellationToken)
    {
        try
        {
            var answer = await channels.ClientOf(replica).DescribeAsync(new DescribeRequest(), cancellationToken: cancellationToken);
            _ = channels.BusOf(replica);
            return answer;
        }
        catch (RpcException error)
        {
            throw LinkErrors.From(error);
        }
        catch (ObjectDisposedException)
        {
            throw new LinkException(LinkError.Unreachable, $"{replica.Id} left the fleet");
        }
    }
}
