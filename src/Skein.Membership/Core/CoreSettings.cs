namespace Skein.Membership.Core;

/// <summary>What a core needs to know about its member.</summary>
/// <param name="Name">Unique in the cluster.</param>
/// <param name="Cluster">Name of the cluster.</param>
/// <param name="Address">Where others reach it.</param>
/// <param name="Generation">Unix milliseconds at start; raised above all that was seen of the name before the member takes part.</param>
/// <param name="Metadata">Opaque, at most 512 bytes.</param>
/// <param name="Seeds">As configured; the core asks the shell to look them up.</param>
internal sealed record CoreSettings(
    string Name,
    string Cluster,
    PeerAddress Address,
    ulong Generation,
    byte[] Metadata,
    IReadOnlyList<string> Seeds,
    ProtocolOptions Options)
{
    /// <summary>Seal and open packets; none by default.</summary>
    public GossipKeys Keys { get; init; } = GossipKeys.None;

    /// <summary>Where the facts of other members come from: each view makes its own, unless a simulation has them shared.</summary>
    public FactsReader ReadFacts { get; init; } = MemberFacts.Read;

    /// <summary>Parts in force; all by default.</summary>
    public ProtocolVariant Variant { get; init; } = ProtocolVariant.Full;
}
