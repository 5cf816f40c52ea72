namespace Skein.Load.Chaos.Servers;

/// <summary>Model servers behind one gateway, into which faults can be injected. Safe for concurrent calls for different servers.</summary>
public interface IChaosServers
{
    /// <summary>Names of the servers, as the gateway tells them to clients. Constant, at least two.</summary>
    IReadOnlyList<string> Names { get; }

    /// <summary>Kinds of faults that are possible. Constant.</summary>
    IReadOnlyList<FaultKind> Kinds { get; }

    /// <summary>Names of the servers that have requests now.</summary>
    /// <exception cref="ChaosException">The gateway does not answer.</exception>
    Task<IReadOnlyList<string>> BusyAsync(CancellationToken cancellationToken);

    /// <summary>Injects a fault. Completes when the gateway serves the server as before.</summary>
    /// <exception cref="ChaosException">The server did not recover, or the fault could not be injected.</exception>
    Task InjectAsync(InjectedFault fault, CancellationToken cancellationToken);
}
