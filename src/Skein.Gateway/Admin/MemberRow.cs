namespace Skein.Gateway.Admin;

/// <summary>A row of <c>GET /admin/v1/members</c> and of <c>skein status --json</c>. <see cref="MemberStatus"/> documents the fields.</summary>
public sealed record MemberRow(
    string Name,
    string Role,
    string State,
    ulong Generation,
    string Version,
    string Revision,
    uint Pid,
    string Http,
    string Grpc,
    string Gossip,
    IReadOnlyList<string> Models,
    uint Slots,
    uint InFlight,
    uint Queued,
    bool Draining,
    string Health = "",
    string Kind = "",
    string Tier = "",
    string Reason = "")
{
    public static MemberRow From(MemberStatus member) => new(
        member.Name, member.Role, member.State, member.Generation, member.Version, member.Revision, member.Pid, member.Http, member.Grpc,
        member.Gossip, member.Models, member.Slots, member.InFlight, member.Queued, member.Draining, member.Health, member.Kind, member.Tier,
        member.Reason);
}

/// <summary>Lists the members of the group. Thread-safe.</summary>
internal interface IMemberDirectory
{
    /// <summary>One row per name, its newest generation; gateways first, then by name.</summary>
    IReadOnlyList<MemberStatus> Members { get; }
}
