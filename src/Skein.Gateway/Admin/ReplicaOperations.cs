using Google.Protobuf;
using Skein.Gateway.Links;
using Skein.Gateway.Links.InProcess;

namespace Skein.Gateway.Admin;

/// <summary>
/// Sends operators' requests to replicas. Every method throws <see cref="AdminRefusedException"/> if the name is not a live replica's, or if the
/// replica refuses or does not answer. Thread-safe.
/// </summary>
internal sealed class ReplicaOperations(
    IMemberDirectory directory, FleetTracker fleet, AdmissionQueue admission, IReplicaLink link, LinkOptions options, TimeProvider time,
    InProcessReplicaLink? inProcess = null)
{
    private const int ProbeTokens = 8;

    private static readonly ByteString ProbeMessages = ByteString.CopyFromUtf8("""[{"role":"user","content":"Hello"}]""");

    private static readonly TimeSpan ProbeTimeout = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan MaxGrace = TimeSpan.FromDays(1);

    public Task<ReplicaRow> StatusAsync(string name, CancellationToken cancellationToken) =>
        DrainCallAsync(name, (client, call) => client.GetDrainAsync(new GetDrainRequest(), call), _ => false, cancellationToken);

    /// <summary>Drains a replica. This gateway stops sending work at once, the others when gossip or a refusal reaches them.</summary>
    public Task<ReplicaRow> DrainAsync(string name, double graceSeconds, CancellationToken cancellationToken)
    {
        // Written so that it is false for what is no number.
        if (!(graceSeconds >= 0 && graceSeconds <= MaxGrace.TotalSeconds))
        {
            throw AdminRefusedException.Invalid(
                FormattableString.Invariant($"graceSeconds {graceSeconds} is out of range; allowed: 0 to {MaxGrace.TotalSeconds}"));
        }
        var grace = TimeSpan.FromSeconds(graceSeconds);
        var request = new DrainRequest { GraceMs = (uint)grace.TotalMilliseconds };
        return DrainCallAsync(name, (client, call) => client.DrainAsync(request, call), control => control.Drain(grace), cancellationToken);
    }

    public Task<ReplicaRow> UndrainAsync(string name, CancellationToken cancellationToken) =>
        DrainCallAsync(name, (client, call) => client.UndrainAsync(new UndrainRequest(), call), control => control.Undrain(), cancellationToken);

    /// <summary>Restarts a replica with another revision. Returns when the replica has accepted the request.</summary>
    public Task RestartAsync(string name, string revision, CancellationToken cancellationToken)
    {
        var replica = Find(name);
        var request = new RestartRequest { Revision = revision };
        return inProcess?.ControlOf(replica) is null
            ? CallAsync(replica, (client, call) => client.RestartAsync(request, call), cancellationToken)
            : throw AdminRefusedException.Conflict($"{name} is an upstream: this gateway does not start its server, and cannot restart it");
    }

    /// <summary>Requests a short answer of each model of a replica over the link of clients' requests, without the queue.</summary>
    public async Task<IReadOnlyList<ProbeRow>> ProbeAsync(string name, CancellationToken cancellationToken)
    {
        var replica = Find(name);
        using var timeout = new CancellationTokenSource(ProbeTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        var rows = new List<ProbeRow>();
        foreach (var model in replica.Description.Models)
        {
            try
            {
                rows.Add(await AskAsync(replica, model, either.Token));
            }
            catch (FaultException error)
            {
                throw new AdminRefusedException(502, "replica_failed", $"{name} did not answer with {model}: {error.Message}", error);
            }
            catch (OperationCanceledException error) when (timeout.IsCancellationRequested)
            {
                throw new AdminRefusedException(
                    504, "replica_silent", $"{name} did not answer with {model} within {ProbeTimeout.TotalSeconds:0} s", error);
            }
        }
        return rows;
    }

    internal Replica Find(string name)
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
        string name, Func<ReplicaAdmin.ReplicaAdminClient, CallOptions, AsyncUnaryCall<DrainStatus>> send, Func<IReplicaControl, bool> change,
        CancellationToken cancellationToken)
    {
        var replica = Find(name);
        var status = inProcess?.ControlOf(replica) is { } control
            ? control.ReportDrain(change(control))
            : await CallAsync(replica, send, cancellationToken);
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
    private async Task<T> CallAsync<T>(
        Replica replica, Func<ReplicaAdmin.ReplicaAdminClient, CallOptions, AsyncUnaryCall<T>> send, CancellationToken cancellationToken)
    {
        using var channel = MemberChannel.Open(replica.Description.Address, options);
        try
        {
            var deadline = new CallOptions(deadline: time.GetUtcNow().UtcDateTime + Timeout, cancellationToken: cancellationToken);
            using var call = send(new ReplicaAdmin.ReplicaAdminClient(MemberChannel.Invoker(channel, options)), deadline);
            return await call;
        }
        catch (RpcException error)
        {
            throw AdminRefusedException.From(replica.Id.Name, error);
        }
    }

    private async Task<ProbeRow> AskAsync(Replica replica, string model, CancellationToken cancellationToken)
    {
        var request = new GenerateRequest
        {
            RequestId = $"probe-{replica.Id.Name}", Model = model, MaxTokens = ProbeTokens, N = 1, Attempt = 1,
            Sampling = new Sampling { Temperature = 0, Seed = 1 },
        };
        if (replica.Description.ModelDescriptions.GetValueOrDefault(model) is { Chat: false })
            return await AskAsync(replica, new GenerateRequest(request) { Text = "Hello" }, cancellationToken);
        try
        {
            return await AskAsync(replica, new GenerateRequest(request) { Chat = new ChatPrompt { Messages = ProbeMessages } }, cancellationToken);
        }
        catch (FaultException)
        {
            // Some servers have chats only, and some models no template for them; a replica that has just joined has not told which.
            return await AskAsync(replica, new GenerateRequest(request) { Text = "Hello" }, cancellationToken);
        }
    }

    private async Task<ProbeRow> AskAsync(Replica replica, GenerateRequest request, CancellationToken cancellationToken)
    {
        var asked = time.GetTimestamp();
        var tokens = 0;
        var finished = false;
        await foreach (var frame in link.GenerateAsync(replica, request, cancellationToken))
        {
            tokens += (int)frame.Count;
            finished |= frame.Finish is not null;
        }
        if (!finished)
            throw new FaultException(Fault.EngineFailed, "the stream ended without its finish");
        return new ProbeRow(request.Model, tokens, time.GetElapsedTime(asked).TotalMilliseconds);
    }
}

/// <summary>Describes why a drain is not complete.</summary>
internal static class DrainBlock
{
    /// <returns>Null if no stream runs.</returns>
    public static string? Describe(MemberStatus draining, int running, TimeSpan graceLeft, IEnumerable<MemberStatus> group)
    {
        if (running == 0)
            return null;
        var streams = running == 1 ? "1 stream runs" : $"{running} streams run";
        var grace = graceLeft > TimeSpan.Zero
            ? string.Create(CultureInfo.InvariantCulture, $"{Math.Ceiling(graceLeft.TotalSeconds):0} s of grace left")
            : "the grace is over";
        return $"{streams}, {grace}, {Elsewhere(draining, group)}";
    }

    private static string Elsewhere(MemberStatus draining, IEnumerable<MemberStatus> group)
    {
        List<MemberStatus> others =
        [
            .. group.Where(other => other.Role == Roles.Replica && other.State == "alive" && !other.Draining && other.Name != draining.Name
                && other.Models.Intersect(draining.Models, StringComparer.Ordinal).Any()),
        ];
        if (others.Count == 0)
            return $"no other ready replica serves {string.Join(", ", draining.Models)}";
        var slots = others.Sum(other => (long)other.Slots);
        var free = others.Sum(other => Math.Max(0, (long)other.Slots - other.InFlight));
        return free == 0 ? $"no slot is free elsewhere ({slots} of {slots} in use)" : $"{free} of {slots} slots are free elsewhere";
    }
}

/// <summary>An operator's request was not carried out. The message is one line for the operator.</summary>
internal sealed class AdminRefusedException(int status, string code, string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>HTTP status: 400, 404 and 415: invalid input; 409: not possible in the current state; 502 and 504: the replica failed.</summary>
    public int Status { get; } = status;

    public string Code { get; } = code;

    public static AdminRefusedException Invalid(string message) => new(400, "invalid_value", message);

    public static AdminRefusedException Conflict(string message) => new(409, "conflict", message);

    /// <summary>Maps the gRPC status of a replica's answer.</summary>
    public static AdminRefusedException From(string replica, RpcException error) => error.StatusCode switch
    {
        StatusCode.InvalidArgument => new(400, "invalid_value", error.Status.Detail, error),
        StatusCode.FailedPrecondition or StatusCode.PermissionDenied => new(409, "conflict", $"{replica}: {error.Status.Detail}", error),
        StatusCode.Unimplemented => new(409, "conflict", $"{replica} is of a version that cannot be asked this", error),
        StatusCode.DeadlineExceeded or StatusCode.Cancelled => new(504, "replica_silent", $"{replica} does not answer", error),
        _ => new(502, "replica_failed", $"{replica} does not answer: {error.Status.Detail}", error),
    };
}
