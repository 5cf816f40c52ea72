using Skein.Protocol.Health;
using ServingStatus = Skein.Protocol.Health.HealthCheckResponse.Types.ServingStatus;

namespace Skein.Gateway.Admin;

/// <summary>Answers <c>grpc.health.v1</c> by the name of each service: what needs replicas serves while <see cref="Readiness"/> says so. Thread-safe.</summary>
internal sealed class HealthService(Readiness readiness, IHostApplicationLifetime lifetime, TimeProvider time) : Protocol.Health.Health.HealthBase
{
    /// <summary>How soon a watcher learns of a change.</summary>
    private static readonly TimeSpan WatchInterval = TimeSpan.FromSeconds(1);

    /// <summary>The empty name stands for the gateway as a whole. Administration works without replicas.</summary>
    private static readonly string[] WithReplicas = ["", Inference.Descriptor.FullName];

    private static readonly string[] Always = [Protocol.V1.Admin.Descriptor.FullName, Protocol.Health.Health.Descriptor.FullName];

    public override Task<HealthCheckResponse> Check(HealthCheckRequest request, ServerCallContext context) =>
        Find(request.Service) is { } status
            ? Task.FromResult(new HealthCheckResponse { Status = status })
            : throw new RpcException(new Status(
                StatusCode.NotFound,
                $"service '{request.Service}' is not served; allowed: {string.Join(", ", WithReplicas.Concat(Always).Skip(1))}, or empty"));

    public override async Task Watch(HealthCheckRequest request, IServerStreamWriter<HealthCheckResponse> responseStream, ServerCallContext context)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        using var timer = new PeriodicTimer(WatchInterval, time);
        ServingStatus? told = null;
        try
        {
            do
            {
                var status = Find(request.Service) ?? ServingStatus.ServiceUnknown;
                if (status == told)
                    continue;
                told = status;
                await responseStream.WriteAsync(new HealthCheckResponse { Status = status }, stop.Token);
            }
            while (await timer.WaitForNextTickAsync(stop.Token));
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The watcher is gone, or the gateway stops.
        }
        if (!context.CancellationToken.IsCancellationRequested)
            await responseStream.WriteAsync(new HealthCheckResponse { Status = ServingStatus.NotServing }, context.CancellationToken);
    }

    public override Task<HealthListResponse> List(HealthListRequest request, ServerCallContext context)
    {
        var statuses = new HealthListResponse();
        foreach (var name in WithReplicas.Concat(Always))
            statuses.Statuses[name] = new HealthCheckResponse { Status = Find(name)!.Value };
        return Task.FromResult(statuses);
    }

    private ServingStatus? Find(string service) =>
        Always.Contains(service, StringComparer.Ordinal) ? ServingStatus.Serving
        : !WithReplicas.Contains(service, StringComparer.Ordinal) ? null
        : readiness.Missing is null ? ServingStatus.Serving : ServingStatus.NotServing;
}
