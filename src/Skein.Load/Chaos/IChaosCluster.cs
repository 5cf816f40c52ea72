namespace Skein.Load.Chaos;

/// <summary>A cluster that can be harmed. Safe for concurrent calls for different replicas.</summary>
public interface IChaosCluster
{
    /// <summary>Names of the replicas; fixed.</summary>
    IReadOnlyList<string> Replicas { get; }

    /// <summary>Packets that were lost so far, by faults and otherwise.</summary>
    long PacketsLost { get; }

    /// <summary>Lets a fault happen. Completes when the replica serves again as before.</summary>
    /// <exception cref="ChaosException">The replica did not come back, or could not be harmed.</exception>
    Task InjectAsync(InjectedFault fault, CancellationToken cancellationToken);
}

/// <summary>The chaos run cannot go on; the message is one line for the user.</summary>
public sealed class ChaosException : Exception
{
    /// <summary>Creates the exception.</summary>
    public ChaosException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
