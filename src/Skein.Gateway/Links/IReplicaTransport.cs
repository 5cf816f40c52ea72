using Skein.Protocol.V1;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Links;

/// <summary>One way to reach replicas. Thread-safe.</summary>
internal interface IReplicaTransport : IReplicaLink, IReplicaDescriber
{
    /// <summary>Whether this is the way to the replica.</summary>
    bool Reaches(Replica replica);
}

/// <summary>Asks replicas what they serve. Thread-safe.</summary>
internal interface IReplicaDescriber
{
    /// <exception cref="FaultException">It did not answer, or with an error.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    Task<DescribeResponse> DescribeAsync(Replica replica, CancellationToken cancellationToken);
}

/// <summary>Stores what replicas report of themselves. Thread-safe.</summary>
internal interface IDescriptionBook
{
    /// <summary>Stores an answer.</summary>
    /// <param name="asked">What was known of the replica when it was asked.</param>
    /// <param name="answer">Input from outside: unchecked.</param>
    void Learn(ReplicaDescription asked, DescribeResponse answer);
}
