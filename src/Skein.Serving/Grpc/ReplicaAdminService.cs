using System.Net;
using Grpc.Core;
using Microsoft.AspNetCore.Http;

namespace Skein.Serving.Grpc;

/// <summary>Serves the requests that gateways make on an operator's behalf.</summary>
internal sealed class ReplicaAdminService(EngineHost host, ReplicaOptions options) : ReplicaAdmin.ReplicaAdminBase
{
    private const uint MostGraceMs = 86_400_000;

    public override Task<DrainStatus> GetDrain(GetDrainRequest request, ServerCallContext context) => Task.FromResult(Status(changed: false));

    public override Task<DrainStatus> Drain(DrainRequest request, ServerCallContext context)
    {
        if (request.GraceMs > MostGraceMs)
            throw Invalid($"grace_ms is {request.GraceMs}; allowed: 0 to {MostGraceMs}");

        return Task.FromResult(Status(host.Control.Drain(TimeSpan.FromMilliseconds(request.GraceMs))));
    }

    public override Task<DrainStatus> Undrain(UndrainRequest request, ServerCallContext context) => Task.FromResult(Status(host.Control.Undrain()));

    public override Task<RestartResponse> Restart(RestartRequest request, ServerCallContext context)
    {
        var connection = context.GetHttpContext().Connection;
        if (!IsSameMachine(connection))
        {
            throw new RpcException(
                new Status(StatusCode.PermissionDenied, $"restart is for callers on this machine; this one is {connection.RemoteIpAddress}"));
        }

        if (!RevisionName.IsValid(request.Revision))
            throw Invalid($"revision '{request.Revision}' is not allowed; allowed: {RevisionName.Allowed}");

        if (options.Restart is not { } restart)
        {
            throw new RpcException(
                new Status(StatusCode.FailedPrecondition, "nothing would start this replica again: it does not run under 'skein up'"));
        }

        restart(request.Revision);
        return Task.FromResult(new RestartResponse());
    }

    private static bool IsSameMachine(ConnectionInfo connection) =>
        connection.RemoteIpAddress is { } remote && (IPAddress.IsLoopback(remote) || remote.Equals(connection.LocalIpAddress));

    private static RpcException Invalid(string message) =>
        ReplicaStatus.From(new FaultException(Fault.InvalidRequest, message)).ToRpcException();

    private DrainStatus Status(bool changed)
    {
        var status = host.Control.ReportDrain(changed);
        status.Restartable = options.Restart is not null;
        return status;
    }
}
