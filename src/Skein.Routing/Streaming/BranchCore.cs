using Google.Protobuf;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>What to do with a frame.</summary>
internal enum FrameVerdict
{
    /// <summary>Ignore it: a heartbeat, or a frame of an attempt that was given up.</summary>
    Drop,

    Forward,

    /// <summary>Forward it to the client; it is the last of its choice.</summary>
    Finish,

    /// <summary>Give the attempt up: the frame breaks the protocol.</summary>
    Violation,

    /// <summary>End the session: the repeated answer differs from what the client already has.</summary>
    Diverged,
}

/// <summary>The decisions of one branch. Synchronous, without time or I/O. Not thread-safe; driven by <see cref="Branch"/>.</summary>
internal sealed class BranchCore(GenerateRequest request, Arrival arrival, StreamingOptions options)
{
    private readonly Journal _journal = new();
    private readonly Dictionary<ReplicaId, int> _failedAt = [];
    private Replay? _replay;
    private TimeSpan? _waitingSince;
    private int _numbered;
    private int _expectedStart;
    private int _reachedBefore;
    private int _lostWithoutProgress;
    private bool _heard;
    private bool _startForwarded;

    /// <summary>Number of the current attempt; 0 before the first.</summary>
    public int Attempt { get; private set; }

    public bool Started { get; private set; }

    public int Choice => (int)request.Choice;

    /// <summary>Index of the client's next token.</summary>
    public int NextIndex => _journal.NextIndex;

    public long JournalBytes => _journal.Bytes;

    public ResumeTier ResumeTier { get; private set; }

    /// <summary>The current attempt repeats what the client already has, in order to continue after it.</summary>
    public bool IsReplaying => _replay is { IsBehind: true };

    /// <summary>The current attempt can be moved to another replica while it runs.</summary>
    public bool MayMove => Started && _replay is null && request.Failover != FailoverPolicy.Never && MayResume;

    /// <summary>The current attempt's position in the answer. Repeating earlier tokens is not progress.</summary>
    private int Reached => _replay?.Index ?? NextIndex;

    /// <summary>Resuming from the journal is exact enough for the client.</summary>
    private bool MayResume =>
        ResumeTier == ResumeTier.Exact
        || (request.Failover != FailoverPolicy.Exact && (ResumeTier == ResumeTier.Tokens || (ResumeTier == ResumeTier.Text && !IsTextMissing)));

    /// <summary>Chunks without text were generated: the model reasons, or a partial stop text is held back. There is nothing to resume from.</summary>
    private bool IsTextMissing => NextIndex > 0 && _journal.Text.IsEmpty;

    /// <summary>The stream can continue under another fingerprint, from its text alone. Ids would be lost, and the unit of indexes would change.</summary>
    private bool MayChangeFingerprint =>
        request.Failover != FailoverPolicy.Exact && ResumeTier == ResumeTier.Text && _journal.Unit == TokenUnit.Chunk
        && (!IsTextMissing || _journal.RawDeltas.IsEmpty);

    public AdmissionRequest Need() =>
        new(request.Model, arrival, Displaced: _failedAt.Count > 0, _waitingSince, NextIndex > 0 ? _journal.Fingerprint : "", Failed(since: Reached))
        {
            LastResort = Failed(since: 0, until: Reached),
            TakesOtherFingerprints = MayChangeFingerprint,
        };

    /// <summary>Begins the next attempt: from now on only its frames count.</summary>
    public GenerateRequest BeginAttempt()
    {
        var next = NextRequest();
        var replay = NextIndex > 0 && !MayResume ? new Replay(_journal) : null;
        if (replay is not null)
            next.Resume = null;
        MakeCurrent((int)next.Attempt, replay is null ? NextIndex : 0, replay);
        return next;
    }

    /// <summary>
    /// Prepares an attempt beside the current one, until <see cref="Promote"/>. With <paramref name="hold"/> it is a standby attempt: it reads the prompt and
    /// waits.
    /// </summary>
    public SecondaryRequest PrepareSecondary(ReplicaId current, bool hold)
    {
        var next = NextRequest();
        next.Hold = hold;
        // A standby attempt will continue the current one's tokens, even if there are none yet.
        var fingerprint = hold || NextIndex > 0 ? _journal.Fingerprint : "";
        var need = new AdmissionRequest(request.Model, arrival, Displaced: true, WaitingSince: null, fingerprint, [.. _failedAt.Keys, current])
        {
            TakesOtherFingerprints = MayChangeFingerprint,
        };
        return new SecondaryRequest(next, need, NextIndex, _journal.Text.Length);
    }

    /// <summary>What a standby attempt lacks, to continue where the current attempt is cut.</summary>
    public ContinueRequest Continuation(SecondaryRequest secondary) => _journal.Since(secondary);

    /// <summary>Makes a secondary attempt the current one: from now on only its frames count, its start frame first.</summary>
    public void Promote(SecondaryRequest secondary) => MakeCurrent((int)secondary.Request.Attempt, secondary.FromIndex, _replay);

    public void SecondaryLost(ReplicaId replica) => _failedAt[replica] = Reached;

    /// <summary>Checks a frame, journals it if it counts, and removes the parts that are not for the client.</summary>
    /// <param name="violation">The rule it broke, for <see cref="FrameVerdict.Violation"/> and <see cref="FrameVerdict.Diverged"/>.</param>
    public FrameVerdict Accept(GenerateFrame frame, out string? violation)
    {
        violation = null;
        if (frame.Attempt != Attempt)
            return FrameVerdict.Drop;
        _heard = true;
        frame.Load = null;
        if (frame.Start is { } start && !AcceptStart(frame, start, out violation))
            return FrameVerdict.Violation;
        if (IsEmpty(frame))
            return frame.Start is null ? FrameVerdict.Drop : FrameVerdict.Forward;
        if (_replay is not null && Started && _replay.Take(frame) is { } difference)
        {
            violation = difference;
            return FrameVerdict.Diverged;
        }
        if (IsReplaying || IsEmpty(frame))
            return FrameVerdict.Drop;
        violation = Check(frame);
        if (violation is not null)
            return FrameVerdict.Violation;
        _journal.Append(frame);
        return frame.Finish is null ? FrameVerdict.Forward : FrameVerdict.Finish;
    }

    /// <summary>The replica had no slot for the current attempt: the request keeps waiting as if it had not been served.</summary>
    public void Refused(TimeSpan waitingSince) => _waitingSince = waitingSince;

    /// <returns>Null if another attempt may be made, else the reason why not.</returns>
    public string? Lost(ReplicaId replica, Fault reason)
    {
        _failedAt[replica] = Reached;
        _waitingSince = null;
        if (Reached > _reachedBefore)
            _lostWithoutProgress = 0;
        else if (FaultTable.Of(reason).MayBePoison && (_heard || reason != Fault.LinkStall))
            _lostWithoutProgress++; // A replica that never sent anything was frozen before the request arrived.
        if (NextIndex > 0 && request.Failover == FailoverPolicy.Never)
            return $"{replica.Name} was lost by {reason.ToWireName()} at token {NextIndex}, and the client wants no failover";
        if (NextIndex > 0 && !MayResume && options.MaxReplay <= TimeSpan.Zero)
            return $"{replica.Name} was lost by {reason.ToWireName()} at token {NextIndex}, where no engine can resume this answer as it was asked for";
        return _lostWithoutProgress >= options.AttemptsWithoutProgress
            ? $"{_lostWithoutProgress} replicas in a row were lost on this request at token {NextIndex}, the last one ({replica.Name}) by {reason.ToWireName()}"
            : null;
    }

    /// <summary>Replicas that failed this branch at a token index from <paramref name="since"/> to before <paramref name="until"/>.</summary>
    private ReplicaId[] Failed(int since, int until = int.MaxValue) =>
        _failedAt.Count == 0 ? [] : [.. _failedAt.Where(failure => failure.Value >= since && failure.Value < until).Select(failure => failure.Key)];

    private static bool IsEmpty(GenerateFrame frame) =>
        frame is { Count: 0, Text.IsEmpty: true, RawDelta.IsEmpty: true, Finish: null }
        && frame is { RawChoice.IsEmpty: true, RawChunk.IsEmpty: true, RawLogprobs.IsEmpty: true };

    private GenerateRequest NextRequest()
    {
        _numbered++;
        var next = _numbered == 1 ? request : request.Clone();
        next.Attempt = (uint)_numbered;
        next.Resume = _journal.ToResume();
        return next;
    }

    private void MakeCurrent(int number, int expectedStart, Replay? replay)
    {
        if (Reached > _reachedBefore)
            (_reachedBefore, _lostWithoutProgress) = (Reached, 0);
        _replay = replay;
        Attempt = number;
        _expectedStart = expectedStart;
        (Started, _heard) = (false, false);
    }

    private bool AcceptStart(GenerateFrame frame, Start start, out string? violation)
    {
        violation = Started ? "a second start"
            : NextIndex > 0 && start.Unit != _journal.Unit ? $"an answer counted in {start.Unit} that was counted in {_journal.Unit}"
            : start.ResumedAt != _expectedStart ? $"start at token {start.ResumedAt} instead of {_expectedStart}"
            : null;
        if (violation is not null)
            return false;
        Started = true;
        _journal.Begin(start);
        ResumeTier = start.ResumeTier;
        if (_startForwarded)
            frame.Start = null;
        _startForwarded = true;
        return true;
    }

    private static bool IsObject(ByteString? json) => json is null or { IsEmpty: true } || JsonShape.IsObject(json.Span);

    private string? Check(GenerateFrame frame)
    {
        if (!Started)
            return "tokens before the start";
        if (frame.Count > 0 && frame.FirstIndex != NextIndex)
            return $"token {frame.FirstIndex} instead of {NextIndex}";
        if (frame.TokenIds.Count != 0 && frame.TokenIds.Count != frame.Count)
            return $"{frame.TokenIds.Count} ids for {frame.Count} tokens";
        if (frame.Logprobs.Count != 0 && frame.Logprobs.Count != frame.Count)
            return $"{frame.Logprobs.Count} logprobs for {frame.Count} tokens";
        if (!IsObject(frame.RawDelta) || !IsObject(frame.RawChoice) || !IsObject(frame.RawChunk) || !IsObject(frame.RawLogprobs)
            || !IsObject(frame.Finish?.Usage?.Raw))
            return "a delta that is not a JSON object";
        // A missing reason, or one of a later release, cannot be shown to the client.
        if (frame.Finish is { Reason: < FinishReason.Stop or > FinishReason.ContentFilter } finish)
            return $"a finish for reason {(int)finish.Reason}, which is not known here";
        return null;
    }
}
