using System.Collections.Concurrent;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Serving;

/// <summary>Names a held attempt. Sessions are unique among all gateways.</summary>
internal readonly record struct StandbyKey(string Session, uint Choice, uint Attempt)
{
    public override string ToString() => $"session '{Session}', choice {Choice}, attempt {Attempt}";
}

/// <summary>
/// The attempts that were started with <c>hold</c>, until their engine has stopped: each has a slot, so there are never more of them than slots. Safe
/// for concurrent use.
/// </summary>
internal sealed class StandbyAttempts(ReplicaOptions options, TimeProvider time)
{
    private readonly ConcurrentDictionary<StandbyKey, StandbyAttempt> _held = new();

    /// <summary>Holds an attempt until the result is disposed; null where it is not to be held.</summary>
    /// <exception cref="Grpc.Core.RpcException">Another attempt is held under its names, or it has none.</exception>
    public StandbyAttempt? Add(GenerateRequest request)
    {
        if (!request.Hold)
        {
            return null;
        }

        var key = new StandbyKey(request.Session, request.Choice, request.Attempt);
        RequireSession(key);
        var held = new StandbyAttempt(key, request.Resume, options.StandbyTimeout, time, Remove);
        return _held.TryAdd(key, held)
            ? held
            : throw ReplicaStatus.From(new FaultException(Fault.StandbyExists, $"hold is true for {key}; such an attempt is held already"));
    }

    /// <exception cref="Grpc.Core.RpcException">No such attempt is held, it was continued before, or the request does not fit it.</exception>
    public void Continue(ContinueRequest request)
    {
        var key = new StandbyKey(request.Session, request.Choice, request.Attempt);
        RequireSession(key);
        if (!_held.TryGetValue(key, out var held))
        {
            throw ReplicaStatus.From(new FaultException(Fault.StandbyNotFound, $"no attempt is held here for {key}"));
        }

        held.Continue(request);
    }

    // Its own entry only: others may be held under these names once it is over.
    private void Remove(StandbyAttempt held) => _held.TryRemove(KeyValuePair.Create(held.Key, held));

    private static void RequireSession(StandbyKey key)
    {
        if (key.Session.Length == 0)
        {
            throw ReplicaStatus.InvalidRequest("session is empty; allowed for an attempt that is held: 1 to 128 bytes of printable ASCII");
        }
    }
}
