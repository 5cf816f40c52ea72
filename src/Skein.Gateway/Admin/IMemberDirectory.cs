using Skein.Protocol.V1;

namespace Skein.Gateway.Admin;

/// <summary>Tells who is in the group. Thread-safe.</summary>
public interface IMemberDirectory
{
    /// <summary>One row per name, its newest life; gateways first, then by name.</summary>
    IReadOnlyList<MemberStatus> Members { get; }
}
