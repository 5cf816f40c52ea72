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

/// <summary>A replica as it reports itself: the answer of <c>/admin/v1/replicas/{name}</c>, <c>drain</c> and <c>undrain</c>.</summary>
/// <param name="InFlight">Streams on it, from all gateways.</param>
/// <param name="GraceLeftSeconds">Time in seconds until its streams are moved; 0 if it does not drain.</param>
/// <param name="Restartable">Whether it can be restarted with another revision: it runs under a supervisor (<c>skein up</c>).</param>
/// <param name="Changed">Whether this request started or ended the drain.</param>
/// <param name="Blocked">What a drain waits for; null if no stream runs.</param>
public sealed record ReplicaRow(
    string Name, ulong Generation, bool Draining, int InFlight, int Slots, double GraceLeftSeconds, bool Restartable, bool Changed, string? Blocked);

/// <summary>Result for one model: an element of the answer of <c>POST /admin/v1/replicas/{name}/probe</c>.</summary>
/// <param name="Milliseconds">Time from the request to the finish.</param>
public sealed record ProbeRow(string Model, int Tokens, double Milliseconds);

/// <summary>Counts since this gateway started: the answer of <c>GET /admin/v1/counters</c>.</summary>
/// <param name="Requests">Requests that ended.</param>
/// <param name="Failed">Requests that ended in an error that is not the client's.</param>
/// <param name="Faults">Failovers because of a fault of a replica. Drains do not count.</param>
public sealed record CounterRow(long Requests, long Failed, long Faults);

/// <summary>An API key that was used: an element of the answer of <c>GET /admin/v1/api-keys</c>.</summary>
/// <param name="Running">Requests that run now.</param>
/// <param name="Requests">Requests admitted since the key was added or the gateway started.</param>
/// <param name="Tokens">Prompt and completion tokens since then.</param>
public sealed record ApiKeyRow(string Name, int Running, long Requests, long Tokens);

/// <summary>Body of <c>POST /admin/v1/replicas/{name}/drain</c>.</summary>
/// <param name="GraceSeconds">Time in seconds for streams to finish before they are moved. 0 to 86,400; default 30.</param>
public sealed record DrainBody(double GraceSeconds = 30);

/// <summary>Body of <c>POST /admin/v1/replicas/{name}/restart</c>.</summary>
public sealed record RestartBody(string? Revision);
