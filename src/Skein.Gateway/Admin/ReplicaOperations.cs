using Grpc.Core;
using Grpc.Net.Client;
using Skein.Gateway.Links;
using Skein.Gateway.Links.InProcess;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;
using Skein.Serving;

namespace Skein.Gateway.Admin;

/// <summary>
/// Sends operators' requests to replicas. Every method throws <see cref="AdminRefusedException"/> if the name is not a live replica's, or if the
/// replica refuses or does not answer. Thread-safe.
/// </summary>
internal sealed class ReplicaOperations(
    IMemberDirectory directory, FleetTracker fleet, AdmissionQueue admission, LinkOptions link, TimeProvider time, InProcessReplicaLink? inProcess = null)
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan MaxGrace = TimeSpan.FromDays(1);

    public Task<ReplicaRow> StatusAsync(string name, CancellationToken cancellationToken) =>
        DrainCallAsync(
            name,
            (client, deadline) => client.GetDrainAsync(new GetDrainRequest(), deadline: deadline, cancellationToken: cancellationToken),
            _ => false);

    /// <summary>Drains a replica. This gateway stops sending work at once, the others when gossip or a refusal reaches them.</summary>
    public Task<ReplicaRow> DrainAsync(string name, TimeSpan grace, CancellationToken cancellationToken)
    {
        if (grace < TimeSpan.Zero || grace > MaxGrace)
        {
            throw AdminRefusedException.Invalid(
                FormattableString.Invariant($"graceSeconds {grace.TotalSeconds} is out of range; allowed: 0 to {MaxGrace.TotalSeconds}"));
        }
        var request = new DrainRequest { GraceMs = (uint)grace.TotalMilliseconds };
        return DrainCallAsync(
            name, (client, deadline) => client.DrainAsync(request, deadline: deadline, cancellationToken: cancellationToken), control => control.Drain(grace));
    }

    public Task<ReplicaRow> UndrainAsync(string name, CancellationToken cancellationToken) =>
        DrainCallAsync(
            name,
            (client, deadline) => client.UndrainAsync(new UndrainRequest(), deadline: deadline, cancellationToken: cancellationToken),
            control => control.Undrain());

    /// <summary>Restarts a replica with another revision. Returns when the replica has accepted the request.</summary>
    public Task RestartAsync(string name, string revision, CancellationToken cancellationToken)
    {
        var replica = Find(name);
        return inProcess?.ControlOf(replica) is null
            ? CallAsync(
                replica.Description.Address,
                name,
                (client, deadline) => client.RestartAsync(new RestartRequest { Revision = revision }, deadline: deadline, cancellationToken: cancellationToken))
            : throw AdminRefusedException.Conflict($"{name} is an upstream: this gateway does not start its server, and cannot restart it");
    }

    /// <summary>Returns the live replica of a name.</summary>
    public Replica Find(string name)
    {
        if (fleet.Current.Replicas.FirstOrDefault(replica => replica.Id.Name == name) is { } found)
            return found;
        var members = directory.Members;
        if (members.FirstOrDefault(member => member.Name == name) is not { } member)
        {
            var alive = members.Where(other => other.Role == Roles.Replica && other.State == "alive").Select(other => other.Name);
            var allowed = string.Join(", ", alive.Take(16).DefaultIfEmpty("no replica is alive"));
            throw new AdminRefusedException(404, "unknown_member", $"'{name}' is not a member of the group; allowed: {allowed}");
        }
        throw member.Role == Roles.Replica
            ? AdminRefusedException.Conflict($"{name} is {member.State}: only a live replica can be asked")
            : AdminRefusedException.Invalid($"{name} is a {member.Role}; allowed: a replica");
    }

    private async Task<ReplicaRow> DrainCallAsync(
        string name, Func<ReplicaAdmin.ReplicaAdminClient, DateTime, AsyncUnaryCall<DrainStatus>> call, Func<IReplicaControl, bool> change)
    {
        var replica = Find(name);
        var status = inProcess?.ControlOf(replica) is { } control
            ? DrainReport.Of(control, change(control))
            : await CallAsync(replica.Description.Address, name, call);
        var load = status.Load ?? new LoadReport();
        // Before gossip brings the drain to this gateway.
        admission.Report(replica, load);
        var graceLeft = TimeSpan.FromMilliseconds(status.GraceLeftMs);
        var members = directory.Members;
        var blocked = members.FirstOrDefault(member => member.Name == name) is { } self
            ? DrainBlock.Describe(self, (int)load.Running, graceLeft, members)
            : null;
        return new ReplicaRow(
            name, load.Generation, load.Draining, (int)load.Running, (int)load.Slots, graceLeft.TotalSeconds, status.Restartable, status.Changed, blocked);
    }

    /// <summary>Opens a connection for each call: these calls are rare, and must not wait behind streams.</summary>
    private async Task<T> CallAsync<T>(string address, string name, Func<ReplicaAdmin.ReplicaAdminClient, DateTime, AsyncUnaryCall<T>> call)
    {
        using var channel = GrpcChannel.ForAddress($"http://{address}", new GrpcChannelOptions
        {
            HttpHandler = new SocketsHttpHandler { UseProxy = false, ConnectTimeout = link.ConnectTimeout }, DisposeHttpClient = true, MaxRetryAttempts = 1,
        });
        try
        {
            using var asked = call(new ReplicaAdmin.ReplicaAdminClient(channel), time.GetUtcNow().UtcDateTime + Timeout);
            return await asked;
        }
        catch (RpcException error)
        {
            throw AdminRefusedException.From(name, error);
        }
    }
}
