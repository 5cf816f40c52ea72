using Skein.Load.Chaos.Network;

namespace Skein.Operations.Supervision;

/// <summary>A member that <see cref="LocalCluster"/> keeps running.</summary>
/// <param name="Verb">Verb that runs the member: <c>gateway</c> or <c>replica</c>.</param>
/// <param name="Arguments">Flags of the verb, without name and seeds.</param>
/// <param name="Network">Network that the member runs in; null: the network of this process.</param>
public sealed record MemberSpec(string Name, string Verb, IReadOnlyList<string> Arguments, NetworkNamespace? Network = null);
