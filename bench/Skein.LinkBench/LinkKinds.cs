using Skein.Gateway.Links;
using Skein.Gateway.Links.Bus;
using Skein.Routing.Streaming;

namespace Skein.LinkBench;

/// <summary>The links that are compared.</summary>
internal static class LinkKinds
{
    public const string Call = "call";
    public const string Bus = "bus";

    public static IReplicaLink Create(string kind, ReplicaChannels channels) => kind switch
    {
        Call => new GrpcReplicaLink(channels),
        Bus => new BusReplicaLink(channels),
        _ => throw new ArgumentException($"link is '{kind}'; allowed: {Call}, {Bus}", nameof(kind)),
    };
}
