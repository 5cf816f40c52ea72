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
internal sealed class BranchCore(GenerateRequest request, Arrival arrival, StreamingOptions options, bool isSeeded = false)
{
    /// <summary>More than any engine generates between two of its reports.</summary>
    private const uint MostTokensInAFrame = 65_536;

    /// <summary>More than any model's context.</summary>
    private const uint MostTokensOfUsage = 1 << 30;

    private readonly Journal _journal = new();
    private readonly ResumeChoice _choice = new(request, options) { IsSeeded = isSeeded };
    private readonly LossHistory _losses = new(options);
    private Replay? _replay;
    private RestartGuard? _guard;
    private TimeSpan? _waitingSince;
    private int _numbered;
    private int _expectedStart;
    private bool _startForwarded;

    /// <summary>The journal counts chunks of text, and the current attempt counts tokens: its ids are not those of the journal.</summary>
    private bool _dropsIds;

    /// <summary>The current attempt generates the answer again although it could continue it.</summary>
    private bool _repeatsSeed;

    private bool _repeatsExactly;

    public RequestTraits Traits { get; init; } = RequestTraits.None;

    /// <summary>Number of the current attempt; 0 before the first.</summary>
    public int Attempt { get; private set; }

    public bool Started { get; private set; }

    public int Choice => (int)request.Choice;

    /// <summary>Index of the client's next token.</summary>
    public int NextIndex => _journal.NextIndex;

    public bool HasLost => _losses.Any;

    public long JournalBytes => _journal.Bytes;

    public ResumeTier ResumeTier { get; private set; }

    /// <summary>The tier as the client is told: an answer that is the same when it is generated again goes on exactly.</summary>
    public ResumeTier ToldTier => ResumeTier == ResumeTier.None && _repeatsExactly && options.MaxReplay > TimeSpan.Zero ? ResumeTier.Exact : ResumeTier;

    /// <summary>The current attempt repeats what the client already has, in order to continue after it.</summary>
    public bool IsReplaying => _replay is { IsBehind: true };

    /// <summary>The current attempt can be moved to another replica while it runs. One with a seed of the client's would go on otherwise there.</summary>
    public bool MayMove => Started && _replay is null && request.Failover != FailoverPolicy.Never && MayResume && !_choice.RepeatsSeed(ResumeTier);

    /// <summary>The current attempt's position in the answer. Repeating earlier tokens is not progress.</summary>
    private int Reached => _replay?.Index ?? NextIndex;

    private bool MayResume => _choice.MayResume(ResumeTier, IsTextMissing);

    /// <summary>Chunks without text were generated: the model reasons, or a partial stop text is held back. There is nothing to resume from.</summary>
    private bool IsTextMissing => NextIndex > 0 && _journal.Text.IsEmpty;

    /// <summary>The stream can continue under another fingerprint, from its text alone. Ids would be lost, and the unit of indexes would change.</summary>
    private bool MayChangeFingerprint =>
        request.Failover != FailoverPolicy.Exact && ResumeTier == ResumeTier.Text && _journal.Unit == TokenUnit.Chunk
        && (!IsTextMissing || _journal.RawDeltas.IsEmpty);

    public AdmissionRequest Need() =>
        new(request.Model, arrival, Displaced: _losses.Any, _waitingSince, NextIndex > 0 ? _journal.Fingerprint : "", Excluded: [])
        {
            AskAgainAt = _losses.AskAgainAt(Reached),
            SuspectFrom = _losses.IsSuspect ? _losses.SuspectFrom : null,
            TakesOtherFingerprints = MayChangeFingerprint,
            Traits = Traits,
        };

    /// <summary>Begins the next attempt: from now on only its frames count.</summary>
    public GenerateRequest BeginAttempt()
    {
        var next = NextRequest();
        _repeatsSeed = NextIndex > 0 && MayResume && _choice.RepeatsSeed(ResumeTier);
        var replay = NextIndex > 0 && (!MayResume || _repeatsSeed) ? new Replay(_journal) : null;
        if (replay is not null)
            next.Resume = null;
        else if (_choice.IdsRefused)
            next.Resume?.TokenIds.Clear();
        MakeCurrent((int)next.Attempt, replay is null ? NextIndex : 0, replay);
        return next;
    }

    /// <summary>
    /// Prepares an attempt beside the current one, until <see cref="Promote"/>. With <paramref name="isStandby"/> it reads the prompt and then waits
    /// to be continued.
    /// </summary>
    public SecondaryRequest PrepareSecondary(ReplicaId current, bool isStandby)
    {
        var next = NextRequest();
        next.Hold = isStandby;
        // A standby attempt will continue the current one's tokens, even if there are none yet.
        var fingerprint = isStandby || NextIndex > 0 ? _journal.Fingerprint : "";
        var need = new AdmissionRequest(request.Model, arrival, Displaced: true, WaitingSince: null, fingerprint, [.. _losses.Replicas, current])
        {
            TakesOtherFingerprints = MayChangeFingerprint,
            Traits = Traits,
        };
        return new SecondaryRequest(next, need, NextIndex, _journal.Text.Length, _journal.RawDeltas.Length);
    }

    /// <summary>What a standby attempt lacks, to continue where the current attempt is cut.</summary>
    public ContinueRequest Continuation(SecondaryRequest secondary) => _journal.Since(secondary);

    /// <summary>Makes a secondary attempt the current one: from now on only its frames count, its start frame first.</summary>
    public void Promote(SecondaryRequest secondary) => MakeCurrent((int)secondary.Request.Attempt, secondary.FromIndex, _replay);

    public void SecondaryLost(ReplicaId replica, TimeSpan now) => _losses.SecondaryLost(replica, Reached, now);

    /// <summary>
    /// Holds frames of a resumed attempt back until it is clear that the server continues the answer. Called before <see cref="Accept"/>, which is called for
    /// the released frames only.
    /// </summary>
    public GuardVerdict Screen(GenerateFrame frame, List<GenerateFrame> released)
    {
        if (_guard is null || frame.Attempt != Attempt || frame.Start is not null || IsEmpty(frame))
        {
            released.Add(frame);
            return GuardVerdict.Release;
        }
        var verdict = _guard.Take(frame, released);
        if (verdict != GuardVerdict.Hold)
            _guard = null;
        if (verdict == GuardVerdict.Restarted)
            _choice.Restarted();
        return verdict;
    }

    /// <summary>Checks a frame, journals it if it counts, and removes the parts that are not for the client.</summary>
    /// <param name="violation">The rule it broke, for <see cref="FrameVerdict.Violation"/> and <see cref="FrameVerdict.Diverged"/>.</param>
    public FrameVerdict Accept(GenerateFrame frame, out string? violation)
    {
        violation = null;
        if (frame.Attempt != Attempt)
            return FrameVerdict.Drop;
        frame.Load = null;
        if (frame.Count > MostTokensInAFrame)
        {
            violation = $"{frame.Count} tokens in one frame";
            return FrameVerdict.Violation;
        }
        if (frame.Start is { } start && !AcceptStart(frame, start, out violation))
            return FrameVerdict.Violation;
        if (IsEmpty(frame))
            return frame.Start is null ? FrameVerdict.Drop : FrameVerdict.Forward;
        if (_dropsIds)
            frame.TokenIds.Clear();
        if (_replay is not null && !IsObject(frame.RawDelta))
        {
            violation = "a delta that is not a JSON object";
            return FrameVerdict.Violation;
        }
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

    /// <summary>The current attempt, which generates the answer again, is of no use.</summary>
    /// <param name="failure">The error if the next attempts fail, too.</param>
    /// <returns>False when the answer is lost.</returns>
    public bool TryLeaveReplay(bool isSlow, string failure) => _choice.TryLeaveReplay(_repeatsSeed, isSlow, failure);

    /// <summary>The current attempt ended with a fault.</summary>
    /// <param name="end">Why; the engine's own words are kept for the client.</param>
    /// <param name="now">On the queue's clock.</param>
    /// <returns>Null if another attempt may be made, else the error that ends the branch.</returns>
    public FaultException? Lost(ReplicaId replica, FaultException end, TimeSpan now)
    {
        _waitingSince = null;
        var isRetriedLower = end.Fault == Fault.ResumeRefused && _choice.TryLower(_journal, isReplay: _replay is not null);
        var verdict = _losses.Add(replica, end, new LostAttempt(Reached, Started, isRetriedLower), now);
        if (end.Fault == Fault.ResumeRefused && !isRetriedLower)
            verdict = _choice.LastResort ?? verdict;
        if (NextIndex > 0 && request.Failover == FailoverPolicy.Never)
            verdict = $"the stream was lost by {end.Fault.ToWireName()} at token {NextIndex}, and the client wants no failover";
        else if (NextIndex > 0 && !MayResume && options.MaxReplay <= TimeSpan.Zero)
            verdict = $"the stream was lost by {end.Fault.ToWireName()} at token {NextIndex}, where no engine can resume this answer as it was asked for";
        return verdict is null ? null : Error(verdict);
    }

    /// <summary>Decides after a loss whether it is worth waiting for a replica.</summary>
    /// <param name="soonest">When one may be asked, on the queue's clock; null while none is alive.</param>
    /// <param name="now">On the queue's clock.</param>
    /// <returns>Null if it is, else the error that ends the branch.</returns>
    public FaultException? WaitFor(TimeSpan? soonest, TimeSpan now) =>
        soonest - now > LossHistory.LongestPause ? Error($"no other replica can serve the request, and {_losses.Last}") : null;

    /// <summary>Ends the branch: in the engine's words if the last attempt ended with them.</summary>
    public FaultException Error(string message, Exception? cause = null)
    {
        var last = _losses.LastEnd;
        // The engine's part of the story. Messages about connections are left out: they may name addresses.
        if (last is { Engine: null } && last.Fault.Class() == FaultClass.Engine && !message.Contains(last.Message, StringComparison.Ordinal))
            message = $"{message}: {last.Message}";
        // The client's own key is not at fault: it gets a 502 that says so, and not the engine's 401.
        if (last is { Fault: Fault.EngineKeyRefused } && NextIndex == 0)
            return new FaultException(last.Fault, last.Message, cause);
        var isOfEngine = NextIndex == 0 && last is not null && (last.Engine is not null || last.Fault is Fault.EngineBusy or Fault.EngineKeyRefused);
        var fault = isOfEngine ? last!.Fault : cause is FaultException refusal && NextIndex == 0 ? refusal.Fault : Fault.StreamLost;
        var retryAfter = last?.Engine?.RetryAfter ?? (cause as FaultException)?.RetryAfter;
        return fault.ToClientError().Http is 429 or 503
            ? new FaultException(fault, message, retryAfter: retryAfter) { Engine = last?.Engine }
            : new FaultException(fault, message, cause) { Engine = last?.Engine };
    }

    private static bool IsEmpty(GenerateFrame frame) =>
        frame is { Count: 0, Text.IsEmpty: true, RawDelta.IsEmpty: true, Finish: null }
        && frame is { RawChoice.IsEmpty: true, RawChunk.IsEmpty: true, RawLogprobs.IsEmpty: true };

    private GenerateRequest NextRequest()
    {
        _numbered++;
        var next = _numbered == 1 ? request : request.Clone();
        next.Attempt = (uint)_numbered;
        next.Resume = _journal.ToResume();
        next.LastResort = _choice.LastResort is not null;
        return next;
    }

    private void MakeCurrent(int number, int expectedStart, Replay? replay)
    {
        _losses.Progress(Reached);
        (_replay, _guard) = (replay, null);
        Attempt = number;
        _expectedStart = expectedStart;
        Started = false;
    }

    private bool AcceptStart(GenerateFrame frame, Start start, out string? violation)
    {
        violation = Started ? "a second start"
            : NextIndex > 0 && start.Unit != _journal.Unit && _replay is null && !(_choice.IdsRefused && start.Unit == TokenUnit.Chunk)
                ? $"an answer counted in {start.Unit} that was counted in {_journal.Unit}"
            : start.PromptTokens > MostTokensOfUsage ? $"a prompt of {start.PromptTokens} tokens"
            : start.ResumedAt != _expectedStart ? $"start at token {start.ResumedAt} instead of {_expectedStart}"
            : null;
        if (violation is not null)
            return false;
        Started = true;
        // A replica answers under its own name; the client may have asked under an alias.
        start.Model = request.Model;
        _dropsIds = NextIndex > 0 && start.Unit == TokenUnit.Token && _journal.Unit == TokenUnit.Chunk;
        _journal.Begin(start);
        _repeatsExactly = start.RepeatsExactly;
        ResumeTier = _choice.IsRefused ? ResumeTier.None : start.ResumeTier;
        if (_expectedStart > 0 && start.ResumeTier == ResumeTier.Text)
            _guard = RestartGuard.Of(_journal, request);
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
        // Chunks are no tokens: a server may say one token in several.
        if (request.HasMaxTokens && _journal.Unit != TokenUnit.Chunk && NextIndex + frame.Count > request.MaxTokens)
            return $"{NextIndex + frame.Count} tokens of at most {request.MaxTokens}";
        if (frame.Finish is { Usage: { } usage } && (usage.PromptTokens > MostTokensOfUsage || usage.CompletionTokens > MostTokensOfUsage))
            return $"a usage of {usage.PromptTokens} and {usage.CompletionTokens} tokens";
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
