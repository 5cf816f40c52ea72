using Skein.Protocol;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;

namespace Skein.Routing.Tests.Support;

internal static class Losses
{
    /// <summary>A loss without the engine's own words.</summary>
    public static FaultException? Lost(this BranchCore core, ReplicaId replica, Fault reason, TimeSpan at = default) =>
        core.Lost(replica, new FaultException(reason, "lost by the test"), at);

    /// <summary>The engine answered with a status.</summary>
    public static FaultException Answered(Fault fault, int status, TimeSpan? retryAfter = null) =>
        new(fault, $"the engine answered {status}") { Engine = new EngineError(status, $"words of {status}", RetryAfter: retryAfter) };
}
