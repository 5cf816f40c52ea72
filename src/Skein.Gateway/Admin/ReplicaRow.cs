namespace Skein.Gateway.Admin;

/// <summary>A replica as it tells itself, in answer to <c>/admin/v1/replicas/{name}</c> and what lies below.</summary>
/// <param name="Name">Member name.</param>
/// <param name="Generation">Life of the name.</param>
/// <param name="Draining">Takes no new work.</param>
/// <param name="InFlight">Streams that run on it, from all gateways.</param>
/// <param name="Slots">Its concurrency limit.</param>
/// <param name="GraceLeftSeconds">How long they may still go on there before they are moved; 0 where it does not drain.</param>
/// <param name="Restartable">It would start again with another revision when asked (<c>skein up</c>).</param>
/// <param name="Changed">This very request began or ended the drain.</param>
/// <param name="Blocked">What a drain waits for, in words; null when nothing runs.</param>
public sealed record ReplicaRow(
    string Name, ulong Generation, bool Draining, int InFlight, int Slots, double GraceLeftSeconds, bool Restartable, bool Changed, string? Blocked);

/// <summary>A short answer of one replica, in answer to <c>POST /admin/v1/replicas/{name}/probe</c>.</summary>
/// <param name="Model">Who answered.</param>
/// <param name="Tokens">Length of the answer.</param>
/// <param name="Milliseconds">From the question to the finish.</param>
public sealed record ProbeRow(string Model, int Tokens, double Milliseconds);

/// <summary>What happened at this gateway since it started, in answer to <c>GET /admin/v1/counters</c>.</summary>
/// <param name="Requests">Requests that ended.</param>
/// <param name="Failed">Of these, the ones that ended in an error that is not the client's.</param>
/// <param name="Faults">Attempts lost to a fault of a replica, though the client did not notice. Drains are no faults.</param>
public sealed record CounterRow(long Requests, long Failed, long Faults);

/// <summary>Body of <c>POST /admin/v1/replicas/{name}/drain</c>.</summary>
/// <param name="GraceSeconds">How long streams may finish there before they are moved. 0 to 86,400; default 30.</param>
public sealed record DrainBody(double GraceSeconds = 30);

/// <summary>Body of <c>POST /admin/v1/replicas/{name}/restart</c>.</summary>
/// <param name="Revision">Revision of the next life.</param>
public sealed record RestartBody(string? Revision);
