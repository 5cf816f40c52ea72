using Skein.Load.Chaos.Network;

namespace Skein.Operations.Supervision;

/// <summary>A member to be kept running.</summary>
/// <param name="Name">Member name.</param>
/// <param name="Verb">The verb that runs it: <c>gateway</c> or <c>replica</c>.</param>
/// <param name="Arguments">Its flags, without name and seeds.</param>
/// <param name="Network">Where it runs; null: in the network of this process.</param>
public sealed record MemberSpec(string Name, string Verb, IReadOnlyList<string> Arguments, NetworkNamespace? Network = null);
