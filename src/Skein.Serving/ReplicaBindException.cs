using System.Net;

namespace Skein.Serving;

/// <summary>The replica cannot listen where it was told to. The message is one line, meant for the operator.</summary>
public sealed class ReplicaBindException : Exception
{
    /// <summary>Creates the exception.</summary>
    public ReplicaBindException(IPEndPoint endpoint, Exception innerException)
        : base($"cannot listen on {endpoint}: {innerException.GetBaseException().Message}", innerException) => Endpoint = endpoint;

    /// <summary>Where it was to listen.</summary>
    public IPEndPoint Endpoint { get; }

}
