using Skein.Load.Chaos;

namespace Skein.Operations.Chaos;

/// <summary>One model server that faults can be injected into. One fault at a time.</summary>
public interface IFaultyServer : IAsyncDisposable
{
    /// <summary>Address for the gateway. Constant.</summary>
    Uri Url { get; }

    /// <summary>Kinds of faults that are possible. Constant.</summary>
    IReadOnlyList<FaultKind> Kinds { get; }

    /// <summary>Injects a fault. Completes when the fault is over; the server may still need time to answer.</summary>
    /// <exception cref="CommandFailedException">A command failed.</exception>
    /// <exception cref="ChaosException">The server cannot be started.</exception>
    Task InjectAsync(InjectedFault fault, CancellationToken cancellationToken);
}
