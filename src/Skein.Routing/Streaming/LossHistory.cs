using System.Collections.Frozen;
using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>What is known of a lost attempt.</summary>
/// <param name="Reached">Its position in the answer.</param>
/// <param name="Started">The engine had accepted it.</param>
/// <param name="IsRetriedLower">The engine refused to resume, and is asked for less at once.</param>
internal readonly record struct LostAttempt(int Reached, bool Started, bool IsRetriedLower = false);

/// <summary>
/// The lost attempts of one branch: decides whether another one may be made, and when a replica that failed may be asked again. Synchronous; not thread-safe.
/// </summary>
/// <remarks>
/// A request can be the cause of its losses. It is ended after <see cref="StreamingOptions.AttemptsWithoutProgress"/> losses without a new token, or when
/// the same server error comes twice. Connections that break together have another cause: such losses do not count as lack of progress. A request
/// whose replicas died twice before a new token is suspect instead: it runs on its own, and the next death ends it.
/// </remarks>
internal sealed class LossHistory(StreamingOptions options)
{
    /// <summary>Longest time until a replica that failed is asked again, unless it asked for more.</summary>
    public static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Never = TimeSpan.MaxValue;
    private const int DeathsOfSuspect = 2;

    private readonly Dictionary<ReplicaId, Failure> _failures = [];
    private readonly HashSet<int> _refusedWith = [];
    private (ReplicaId Replica, TimeSpan At)? _connectionLost;
    private int _reached;
    private int _lost;
    private int _lostHere;
    private int _withoutProgress;
    private int _deaths;
    private TimeSpan _diedAt;

    public bool Any => _lost > 0 || _failures.Count > 0;

    public IEnumerable<ReplicaId> Replicas => _failures.Keys;

    /// <summary>The request may be what killed its replicas.</summary>
    public bool IsSuspect => _deaths >= DeathsOfSuspect;

    /// <summary>From when a suspect request may run: first it must be clear which replicas live.</summary>
    public TimeSpan SuspectFrom => _diedAt + options.LinkSilence;

    public FaultException? LastEnd { get; private set; }

    /// <summary>The last loss, for messages.</summary>
    public string Last { get; private set; } = "";

    /// <summary>The replicas that failed, and when each may be asked again if no other can serve.</summary>
    public IReadOnlyDictionary<ReplicaId, TimeSpan> AskAgainAt(int reached) =>
        _failures.Count == 0 ? FrozenDictionary<ReplicaId, TimeSpan>.Empty : _failures.ToDictionary(
            failure => failure.Key,
            failure => failure.Value.Reached < reached && failure.Value.AskAgainAt < Never ? TimeSpan.Zero : failure.Value.AskAgainAt);

    /// <summary>The branch has reached a position in its answer.</summary>
    public void Progress(int reached)
    {
        if (reached <= _reached)
            return;
        _reached = reached;
        (_lostHere, _withoutProgress, _deaths, _connectionLost) = (0, 0, 0, null);
        _refusedWith.Clear();
    }

    public void SecondaryLost(ReplicaId replica, int reached, TimeSpan now) => _failures[replica] = new Failure(reached, now + FirstPause);

    /// <summary>Counts a loss.</summary>
    /// <returns>Why no other attempt may be made; null if one may.</returns>
    public string? Add(ReplicaId replica, FaultException end, LostAttempt attempt, TimeSpan now)
    {
        LastEnd = end;
        Last = $"the last attempt was lost by {end.Fault.ToWireName()} at token {attempt.Reached}";
        var hasProgress = attempt.Reached > _reached;
        Progress(attempt.Reached);
        _lost++;
        if (attempt.IsRetriedLower)
            return IsOverBound() ? TooMany(end.Fault) : null;
        _failures[replica] = new Failure(attempt.Reached, AskAgainAt(end, now));
        _lostHere++;
        var wasSuspect = IsSuspect;
        if (end.Fault == Fault.ConnectionLost && !hasProgress)
            (_deaths, _diedAt) = (_deaths + 1, now);
        if (!hasProgress && IsEvidence(replica, end.Fault, attempt, now))
            _withoutProgress++;
        if (end.Fault.Class() == FaultClass.Connection)
            _connectionLost = (replica, now);
        return IsOverBound() ? TooMany(end.Fault)
            : wasSuspect && IsSuspect && end.Fault == Fault.ConnectionLost
                ? $"{_deaths} replicas in a row died on this request, the last one while it was the only such request"
            : IsSameRefusal(end) ? Last
            : _withoutProgress >= options.AttemptsWithoutProgress
                ? $"{_withoutProgress} attempts in a row were lost on this request at token {attempt.Reached}, the last one by {end.Fault.ToWireName()}"
            : null;
    }

    private bool IsOverBound() => _lost >= options.MaxAttempts;

    private string TooMany(Fault reason) => $"all {_lost} attempts that a request may use were lost, the last one by {reason.ToWireName()}";

    /// <summary>The loss suggests that the request is the cause.</summary>
    private bool IsEvidence(ReplicaId replica, Fault reason, LostAttempt attempt, TimeSpan now)
    {
        if (!FaultTable.Of(reason).MayBePoison)
            return false;
        if (reason.Class() != FaultClass.Connection)
            return true;
        // A replica that sent no start frame was lost before its engine took the request.
        return attempt.Started && !Coincides(replica, now);
    }

    private bool Coincides(ReplicaId replica, TimeSpan now) =>
        _connectionLost is { } before && before.Replica.Name != replica.Name && now - before.At <= options.LinkSilence;

    /// <summary>The engine answers the request with an error, and so did another one, or the same one when it was asked again.</summary>
    private bool IsSameRefusal(FaultException end) =>
        end is { Engine: { } words, Fault: not (Fault.EngineBusy or Fault.EngineKeyRefused) } && !_refusedWith.Add(words.Status);

    private TimeSpan AskAgainAt(FaultException end, TimeSpan now)
    {
        if (end.Fault == Fault.EngineKeyRefused)
            return Never;
        var pause = FirstPause * Math.Pow(2, Math.Min(_lostHere, 10));
        if (pause > LongestPause)
            pause = LongestPause;
        return now + (end.Fault == Fault.EngineBusy && end.Engine?.RetryAfter is { } asked && asked > pause ? asked : pause);
    }

    private readonly record struct Failure(int Reached, TimeSpan AskAgainAt);
}
