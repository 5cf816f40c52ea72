using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Skein.Gateway.Api;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Telemetry;
using Skein.Protocol;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Admin;

/// <summary>
/// <c>/admin/v1/replicas/{name}</c>: what operators do to one replica. A POST carries JSON and says so in its content type, which no web page
/// can send here without this gateway's consent.
/// </summary>
internal static class ReplicaEndpoints
{
    private const int MostBodyBytes = 4096;

    private static readonly JsonSerializerOptions Strict = new(JsonSerializerDefaults.Web)
    {
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow, NumberHandling = JsonNumberHandling.Strict, AllowDuplicateProperties = false,
    };

    public static void MapReplicas(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/admin/v1/counters", (RequestTally tally, RoutingStatistics statistics) => new CounterRow(
            tally.Ended, tally.Failed, FaultReasons.All.Where(reason => reason != FaultReason.Draining).Sum(statistics.Failovers)));
        endpoints.MapGet("/admin/v1/replicas/{name}", (string name, ReplicaOperations replicas, CancellationToken stop) =>
            AnswerAsync(() => replicas.LookAsync(name, stop)));
        endpoints.MapPost("/admin/v1/replicas/{name}/drain", (string name, HttpRequest request, ReplicaOperations replicas, CancellationToken stop) => AnswerAsync(async () =>
        {
            var body = await ReadAsync<DrainBody>(request, """{"graceSeconds": 30}""", stop);
            return await replicas.DrainAsync(name, TimeSpan.FromSeconds(Math.Clamp(body.GraceSeconds, -1, int.MaxValue)), stop);
        }));
        endpoints.MapPost("/admin/v1/replicas/{name}/undrain", (string name, HttpRequest request, ReplicaOperations replicas, CancellationToken stop) => AnswerAsync(async () =>
        {
            await ReadAsync<EmptyBody>(request, "{}", stop);
            return await replicas.UndrainAsync(name, stop);
        }));
        endpoints.MapPost("/admin/v1/replicas/{name}/probe", (string name, HttpRequest request, ReplicaOperations replicas, ReplicaProbe probe, CancellationToken stop) => AnswerAsync(async () =>
        {
            await ReadAsync<EmptyBody>(request, "{}", stop);
            return await probe.AskAsync(replicas.Find(name), stop);
        }));
        endpoints.MapPost("/admin/v1/replicas/{name}/restart", (string name, HttpRequest request, ReplicaOperations replicas, CancellationToken stop) => AnswerAsync(async () =>
        {
            var body = await ReadAsync<RestartBody>(request, """{"revision": "r2"}""", stop);
            if (body.Revision is not { } revision || !RevisionName.IsValid(revision))
                throw AdminRefusedException.Invalid($"revision '{body.Revision}' is not allowed; allowed: {RevisionName.Allowed}");
            await replicas.RestartAsync(name, revision, stop);
            return new { name, revision };
        }));
    }

    private static async Task<IResult> AnswerAsync<T>(Func<Task<T>> act)
    {
        try
        {
            return Results.Json(await act());
        }
        catch (AdminRefusedException refused)
        {
            var type = refused.Status < 500 ? "invalid_request_error" : "server_error";
            return Results.Json(new { error = new { message = refused.Message, type, code = refused.Code } }, statusCode: refused.Status);
        }
    }

    /// <exception cref="AdminRefusedException">The body is not the JSON that was asked for.</exception>
    private static async Task<T> ReadAsync<T>(HttpRequest request, string allowed, CancellationToken cancellationToken)
    {
        if (JsonContentType.Problem(request) is { } problem)
            throw new AdminRefusedException(JsonContentType.Status, JsonContentType.Code, problem);
        if (request.ContentLength is null or > MostBodyBytes)
            throw AdminRefusedException.Invalid($"content-length: {request.ContentLength?.ToString(CultureInfo.InvariantCulture) ?? "missing"}; allowed: up to {MostBodyBytes}");
        try
        {
            return await JsonSerializer.DeserializeAsync<T>(request.Body, Strict, cancellationToken) ?? throw AdminRefusedException.Invalid($"the body is null; allowed: such as {allowed}");
        }
        catch (JsonException error)
        {
            throw AdminRefusedException.Invalid($"the body is wrong at {error.Path ?? "$"}; allowed: such as {allowed}");
        }
    }

    private sealed record EmptyBody;
}
