using System.Net;

namespace Skein.Serving.Grpc;

/// <summary>The replica cannot listen on its endpoint. The message is one line for the operator.</summary>
public sealed class ReplicaBindException : Exception
{
    public ReplicaBindException(IPEndPoint endpoint, Exception innerException)
        : base($"cannot listen on {endpoint}: {innerException.GetBaseException().Message}", innerException) => Endpoint = endpoint;

    public IPEndPoint Endpoint { get; }
}
