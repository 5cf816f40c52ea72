namespace Skein.Gateway.Admin;

/// <summary>Lists the members of the group. Thread-safe.</summary>
public interface IMemberDirectory
{
    /// <summary>One row per name, its newest generation; gateways first, then by name.</summary>
    IReadOnlyList<MemberStatus> Members { get; }
}
