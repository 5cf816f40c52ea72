using System.Collections.Concurrent;

namespace Skein.Serving;

/// <summary>Names a standby attempt. Sessions are unique among all gateways.</summary>
internal readonly record struct StandbyKey(string Session, uint Choice, uint Attempt)
{
    public override string ToString() => $"session '{Session}', choice {Choice}, attempt {Attempt}";
}

/// <summary>
/// The attempts that were started with <c>hold</c>, until their engine has stopped. Each uses a slot, so there are never more of them than slots.
/// Thread-safe.
/// </summary>
internal sealed class StandbyAttempts(TimeSpan timeout, TimeProvider time)
{
    private readonly ConcurrentDictionary<StandbyKey, StandbyAttempt> _attempts = new();

    /// <summary>Registers a standby attempt until the result is disposed; null where the request is for an ordinary attempt.</summary>
    /// <exception cref="FaultException">Another attempt has its names, or it has no session name.</exception>
    public StandbyAttempt? Add(GenerateRequest request)
    {
        if (!request.Hold)
            return null;

        var key = KeyOf(request.Session, request.Choice, request.Attempt);
        var standby = new StandbyAttempt(key, request.Resume, timeout, time, Remove);
        return _attempts.TryAdd(key, standby)
            ? standby
            : throw new FaultException(Fault.StandbyExists, $"a standby attempt of {key} exists already");
    }

    public void Continue(ContinueRequest request)
    {
        var key = KeyOf(request.Session, request.Choice, request.Attempt);
        if (!_attempts.TryGetValue(key, out var standby))
            throw new FaultException(Fault.StandbyNotFound, $"no standby attempt of {key} exists here");

        standby.Continue(request);
    }

    // Only this entry: another attempt may have the names by now.
    private void Remove(StandbyAttempt standby) => _attempts.TryRemove(KeyValuePair.Create(standby.Key, standby));

    private static StandbyKey KeyOf(string session, uint choice, uint attempt) => session.Length > 0
        ? new StandbyKey(session, choice, attempt)
        : throw new FaultException(Fault.InvalidRequest, "session is empty; allowed for a standby attempt: 1 to 128 bytes of printable ASCII");
}
