using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Routing;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Keys;
using Skein.Gateway.Telemetry;

namespace Skein.Gateway.Admin;

/// <summary>
/// The HTTP endpoints for operators. A POST must declare its body as JSON: a web page cannot send that to another origin.
/// </summary>
internal static class AdminEndpoints
{
    private const int MaxBodyBytes = 4096;

    private static readonly JsonSerializerOptions Strict = new(JsonSerializerDefaults.Web)
    {
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow, NumberHandling = JsonNumberHandling.Strict, AllowDuplicateProperties = false,
    };

    public static void MapAdmin(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/admin/v1/members", (IMemberDirectory directory) => directory.Members.Select(MemberRow.From));
        endpoints.MapGet("/admin/v1/counters", (RequestTally tally, RoutingStatistics statistics) => new CounterRow(
            tally.Ended, tally.Failed, FaultTable.OfAttempts.Where(reason => reason != Fault.Draining).Sum(statistics.Failovers)));
        endpoints.MapGet("/admin/v1/overview", OverviewRow.Of);
        endpoints.MapGet("/admin/v1/api-keys", (ApiKeyStore keys) => keys.Uses.Select(use => new ApiKeyRow(use.Name, use.Running, use.Requests, use.Tokens)));
        endpoints.MapGet("/admin/v1/replicas/{name}", (string name, ReplicaOperations replicas, CancellationToken stop) =>
            AnswerAsync(() => replicas.StatusAsync(name, stop)));
        endpoints.MapPost("/admin/v1/replicas/{name}/drain", (string name, HttpRequest request, ReplicaOperations replicas, CancellationToken stop) =>
            AnswerAsync<DrainBody, ReplicaRow>(request, """{"graceSeconds": 30}""", body =>
                replicas.DrainAsync(name, body.GraceSeconds, stop)));
        endpoints.MapPost("/admin/v1/replicas/{name}/undrain", (string name, HttpRequest request, ReplicaOperations replicas, CancellationToken stop) =>
            AnswerAsync<EmptyBody, ReplicaRow>(request, "{}", _ => replicas.UndrainAsync(name, stop)));
        endpoints.MapPost("/admin/v1/replicas/{name}/probe", (string name, HttpRequest request, ReplicaOperations replicas, CancellationToken stop) =>
            AnswerAsync<EmptyBody, IReadOnlyList<ProbeRow>>(request, "{}", _ => replicas.ProbeAsync(name, stop)));
        endpoints.MapPost("/admin/v1/replicas/{name}/restart", (string name, HttpRequest request, ReplicaOperations replicas, CancellationToken stop) =>
            AnswerAsync<RestartBody, object>(request, """{"revision": "r2"}""", async body =>
            {
                if (body.Revision is not { } revision || !RevisionName.IsValid(revision))
                    throw AdminRefusedException.Invalid($"revision '{body.Revision}' is not allowed; allowed: {RevisionName.Allowed}");
                await replicas.RestartAsync(name, revision, stop);
                return new { name, revision };
            }));
        endpoints.MapGet("/admin/v1/policies", (FleetTracker fleet, AdmissionQueue admission) => PolicyRow.All(fleet, admission));
        endpoints.MapPost("/admin/v1/policies", (HttpRequest request, FleetTracker fleet, AdmissionQueue admission) =>
            AnswerAsync<PolicyBody, IEnumerable<PolicyRow>>(request, """{"policy": "prefix-affinity", "model": "llama"}""", body =>
            {
                body.Apply(fleet, admission);
                return Task.FromResult(PolicyRow.All(fleet, admission));
            }));
    }

    private static Task<IResult> AnswerAsync<TBody, TRow>(HttpRequest request, string allowed, Func<TBody, Task<TRow>> act) =>
        AnswerAsync(async () => await act(await ReadAsync<TBody>(request, allowed, request.HttpContext.RequestAborted)));

    private static async Task<IResult> AnswerAsync<T>(Func<Task<T>> act)
    {
        try
        {
            return Results.Json(await act());
        }
        catch (AdminRefusedException refused)
        {
            return ApiError.Of(refused.Status, refused.Code, refused.Message);
        }
    }

    private static async Task<T> ReadAsync<T>(HttpRequest request, string allowed, CancellationToken cancellationToken)
    {
        if (RequestBody.ContentTypeProblem(request) is { } problem)
            throw new AdminRefusedException(StatusCodes.Status415UnsupportedMediaType, RequestBody.ContentTypeCode, problem);
        if (request.ContentLength is null or > MaxBodyBytes)
        {
            var length = request.ContentLength?.ToString(CultureInfo.InvariantCulture) ?? "missing";
            throw AdminRefusedException.Invalid($"content-length: {length}; allowed: up to {MaxBodyBytes}");
        }
        try
        {
            return await JsonSerializer.DeserializeAsync<T>(request.Body, Strict, cancellationToken)
                ?? throw AdminRefusedException.Invalid($"the body is null; allowed: such as {allowed}");
        }
        catch (JsonException error)
        {
            throw AdminRefusedException.Invalid($"the body is wrong at {error.Path ?? "$"}; allowed: such as {allowed}");
        }
    }

    private sealed record EmptyBody;
}

/// <summary>Serves <c>GET /admin/v1/members</c> over gRPC. Thread-safe.</summary>
internal sealed class AdminService(IMemberDirectory directory) : Protocol.V1.Admin.AdminBase
{
    public override Task<ListMembersResponse> ListMembers(ListMembersRequest request, ServerCallContext context) =>
        Task.FromResult(new ListMembersResponse { Members = { directory.Members } });
}
