using Skein.Routing.Admission;
using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>What every session of a gateway shares.</summary>
internal sealed record SessionServices(
    FleetTracker Fleet,
    AdmissionQueue Admission,
    IReplicaLink Link,
    StreamingOptions Options,
    RoutingStatistics Statistics,
    TimeProvider Time);
