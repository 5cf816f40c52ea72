namespace Skein.Gateway.Admin;

/// <summary>Serves <c>GET /admin/v1/members</c> over gRPC. Thread-safe.</summary>
internal sealed class AdminService(IMemberDirectory directory) : Protocol.V1.Admin.AdminBase
{
    public override Task<ListMembersResponse> ListMembers(ListMembersRequest request, ServerCallContext context) =>
        Task.FromResult(new ListMembersResponse { Members = { directory.Members } });
}
