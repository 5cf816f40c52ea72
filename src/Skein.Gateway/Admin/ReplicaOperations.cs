using Grpc.Core;
using Grpc.Net.Client;
using Skein.Gateway.Links;
using Skein.Gateway.Links.InProcess;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;
using Skein.Serving;

namespace Skein.Gateway.Admin;

/// <summary>Asks replicas what operators want of them. Thread-safe.</summary>
internal sealed class ReplicaOperations(
    IMemberDirectory directory, FleetTracker fleet, AdmissionQueue admission, LinkOptions link, TimeProvider time, InProcessReplicaLink? inProcess = null)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan MostGrace = TimeSpan.FromDays(1);

    /// <summary>How it stands with a replica.</summary>
    /// <exception cref="AdminRefusedException">The name is no replica's, or the replica does not answer.</exception>
    public Task<ReplicaRow> LookAsync(string name, CancellationToken cancellationToken) =>
        DrainCallAsync(
            name,
            (client, deadline) => client.GetDrainAsync(new GetDrainRequest(), deadline: deadline, cancellationToken: cancellationToken),
            _ => false);

    /// <summary>Sends no more work there, from this gateway at once, from the others as soon as they hear or are refused.</summary>
    /// <exception cref="AdminRefusedException">As above, or the grace is out of its range.</exception>
    public Task<ReplicaRow> DrainAsync(string name, TimeSpan grace, CancellationToken cancellationToken)
    {
        if (grace < TimeSpan.Zero || grace > MostGrace)
            throw AdminRefusedException.Invalid(FormattableString.Invariant($"graceSeconds {grace.TotalSeconds} is out of range; allowed: 0 to {MostGrace.TotalSeconds}"));
        var request = new DrainRequest { GraceMs = (uint)grace.TotalMilliseconds };
        return DrainCallAsync(
            name, (client, deadline) => client.DrainAsync(request, deadline: deadline, cancellationToken: cancellationToken), control => control.Drain(grace));
    }

    /// <summary>Sends work there again.</summary>
    /// <exception cref="AdminRefusedException">As above.</exception>
    public Task<ReplicaRow> UndrainAsync(string name, CancellationToken cancellationToken) =>
        DrainCallAsync(
            name,
            (client, deadline) => client.UndrainAsync(new UndrainRequest(), deadline: deadline, cancellationToken: cancellationToken),
            control => control.Undrain());

    /// <summary>Lets it start again, with another revision. Returns once it has agreed.</summary>
    /// <exception cref="AdminRefusedException">As above, or it does not run under a supervisor on this machine.</exception>
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

    /// <exception cref="AdminRefusedException">The name is no live replica's.</exception>
    public Replica Find(string name)
    {
        if (fleet.Current.Replicas.FirstOrDefault(replica => replica.Id.Name == name) is { } found)
            return found;
        var members = directory.Members;
        if (members.FirstOrDefault(member => member.Name == name) is not { } member)
        {
            var allowed = string.Join(", ", members.Where(other => other.Role == Roles.Replica && other.State == "alive").Select(other => other.Name).Take(16));
            throw new AdminRefusedException(404, "unknown_member", $"'{name}' is no member of the group; allowed: {(allowed.Length > 0 ? allowed : "no replica is alive")}");
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
        // What it says of its drain counts here before the group has heard of it.
        admission.Report(replica, load);
        var graceLeft = TimeSpan.FromMilliseconds(status.GraceLeftMs);
        var members = directory.Members;
        var blocked = members.FirstOrDefault(member => member.Name == name) is { } self
            ? DrainBlock.Tell(self, (int)load.Running, graceLeft, members)
            : null;
        return new ReplicaRow(
            name, load.Generation, load.Draining, (int)load.Running, (int)load.Slots, graceLeft.TotalSeconds, status.Restartable, status.Changed, blocked);
    }

    /// <summary>A connection of its own: operators' calls are few, and must not wait behind streams.</summary>
    private async Task<T> CallAsync<T>(string address, string name, Func<ReplicaAdmin.ReplicaAdminClient, DateTime, AsyncUnaryCall<T>> call)
    {
        using var channel = GrpcChannel.ForAddress($"http://{address}", new GrpcChannelOptions
        {
            HttpHandler = new SocketsHttpHandler { UseProxy = false, ConnectTimeout = link.ConnectTimeout }, DisposeHttpClient = true, MaxRetryAttempts = 1,
        });
        try
        {
            using var asked = call(new ReplicaAdmin.ReplicaAdminClient(channel), time.GetUtcNow().UtcDateTime + Patience);
            return await asked;
        }
        catch (RpcException error)
        {
            throw AdminRefusedException.From(name, error);
        }
    }
}
