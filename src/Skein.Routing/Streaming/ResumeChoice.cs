namespace Skein.Routing.Streaming;

/// <summary>
/// How the next attempt of a branch gets to the end of what the client has: from the ids, from the text, or by generating the answer again and comparing it.
/// Synchronous; not thread-safe.
/// </summary>
internal sealed class ResumeChoice(GenerateRequest request, StreamingOptions options)
{
    private bool _isSeedGivenUp;
    private bool _wasReplaySlow;
    private bool _hasLeftReplay;

    /// <summary>The client chose the seed.</summary>
    public bool IsSeeded { get; init; }

    /// <summary>No engine takes the ids of this answer back: it is continued from its text.</summary>
    public bool IdsRefused { get; private set; }

    /// <summary>No engine can continue this answer: it is generated again and compared.</summary>
    public bool IsRefused { get; private set; }

    /// <summary>
    /// Why the answer could not be generated again: the engine is asked to continue it although it did not promise to. Null: that is not so.
    /// </summary>
    public string? LastResort { get; private set; }

    /// <summary>Resuming from the journal is exact enough for the client.</summary>
    /// <param name="tier">What the engine promised.</param>
    /// <param name="isTextMissing">The journal has no text to resume from.</param>
    public bool MayResume(ResumeTier tier, bool isTextMissing) =>
        LastResort is not null
        || (!IsRefused
            && (tier == ResumeTier.Exact
                || (request.Failover != FailoverPolicy.Exact && (tier == ResumeTier.Tokens || (tier == ResumeTier.Text && !isTextMissing)))));

    /// <summary>
    /// The answer is generated again although it could be continued. The engine's random numbers begin anew when it continues from ids; from the beginning,
    /// the client's seed gives the same answer.
    /// </summary>
    public bool RepeatsSeed(ResumeTier tier) =>
        IsSeeded && !_isSeedGivenUp && tier == ResumeTier.Tokens && options.MaxReplay > TimeSpan.Zero
        && request.Sampling is not ({ HasTemperature: true, Temperature: 0 } or { HasTopK: true, TopK: 1 });

    /// <summary>The server began the answer anew instead of continuing it.</summary>
    public void Restarted() => IsRefused = true;

    /// <summary>
    /// An attempt that generates the answer again is of no use. It may be left where the answer can be continued instead, and once for another replica if it
    /// is only too slow. After that the engine is asked to continue it, unless the client wants the exact answer or an error.
    /// </summary>
    /// <param name="repeatsSeed">The answer could be continued.</param>
    /// <param name="failure">The error if that fails, too.</param>
    /// <returns>False when the answer is lost.</returns>
    public bool TryLeaveReplay(bool repeatsSeed, bool isSlow, string failure)
    {
        if (repeatsSeed)
            return _isSeedGivenUp = _hasLeftReplay = true;
        if (isSlow && !_wasReplaySlow)
            return _wasReplaySlow = true;
        if (request.Failover == FailoverPolicy.Exact || LastResort is not null)
            return false;
        LastResort = failure;
        return _isSeedGivenUp = _hasLeftReplay = true;
    }

    /// <summary>An attempt was refused: the next one asks less of the engine.</summary>
    /// <param name="journal">What the client has.</param>
    /// <param name="isReplay">The attempt generated the answer again.</param>
    /// <returns>False when the refused attempt asked for nothing.</returns>
    public bool TryLower(Journal journal, bool isReplay)
    {
        if (_hasLeftReplay)
        {
            _hasLeftReplay = false;
            return true;
        }
        if (journal.NextIndex == 0 || isReplay)
            return false;
        if (IsRefused && LastResort is null)
            return true; // The server began anew.
        if (!IdsRefused && !journal.Ids.IsEmpty && !journal.Text.IsEmpty && journal.RawDeltas.IsEmpty && request.Failover != FailoverPolicy.Exact)
            return IdsRefused = true;
        return LastResort is null && (IsRefused = true);
    }
}
