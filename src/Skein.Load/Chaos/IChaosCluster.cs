namespace Skein.Load.Chaos;

/// <summary>A cluster that faults can be injected into. Safe for concurrent calls for different replicas.</summary>
public interface IChaosCluster
{
    /// <summary>Names of the replicas. Constant.</summary>
    IReadOnlyList<string> Replicas { get; }

    /// <summary>Packets lost so far, by faults and otherwise.</summary>
    long PacketsLost { get; }

    /// <summary>Injects a fault. Completes when the replica has recovered.</summary>
    /// <exception cref="ChaosException">The replica did not recover, or the fault could not be injected.</exception>
    Task InjectAsync(InjectedFault fault, CancellationToken cancellationToken);
}

/// <summary>The chaos run cannot continue. The message is one line for the user.</summary>
public sealed class ChaosException(string message, Exception? innerException = null) : Exception(message, innerException);
