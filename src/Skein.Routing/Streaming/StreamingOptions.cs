using System.Collections.Frozen;

namespace Skein.Routing.Streaming;

/// <summary>Bounds of sessions. Immutable.</summary>
public sealed record StreamingOptions
{
    /// <summary>Upper limit of every bound of silence: 1 h.</summary>
    public static readonly TimeSpan LongestSilence = TimeSpan.FromHours(1);

    /// <summary>Most sessions at a time. Default 20,000, range 1 to 1,000,000.</summary>
    public int MaxSessions { get; init; } = 20_000;

    /// <summary>Most bytes of one branch's journal, and of one session's unread output. Default 1 MiB, range 1 KiB to 1 GiB.</summary>
    public int JournalBytes { get; init; } = 1 << 20;

    /// <summary>Most bytes of all journals; no session starts past it. Default 1 GiB, range <see cref="JournalBytes"/> to 1 TiB.</summary>
    public long AllJournalsBytes { get; init; } = 1L << 30;

    /// <summary>Consecutive attempts lost without a new token before the request is considered poison. Default 2, range 1 to 100.</summary>
    public int AttemptsWithoutProgress { get; init; } = 2;

    /// <summary>
    /// Most attempts of one choice of a request, whether they made progress or not. Handovers, hedges and refusals for lack of a slot do not count. Default 8,
    /// range 1 to 100.
    /// </summary>
    public int MaxAttempts { get; init; } = 8;

    /// <summary>Longest time without any frame, heartbeats included. Default 900 ms, range 300 ms to 1 min; replicas send a heartbeat every 250 ms.</summary>
    public TimeSpan LinkSilence { get; init; } = TimeSpan.FromMilliseconds(900);

    /// <summary>
    /// Minimum of the bound on the time from dispatch to the first token. The bound is <see cref="EngineSilenceFactor"/> times the replica's slowest recent
    /// prefills, scaled to the prompt's length, if that is more. Default 120 s, range 1 s to 1 h.
    /// </summary>
    public TimeSpan FirstTokenSilence { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>
    /// Minimum of the bound on the time between tokens. The bound is <see cref="EngineSilenceFactor"/> times the 99th percentile of the replica's last few
    /// thousand gaps, if that is more. Anything else that the engine sends, such as a comment, counts as life too. A frozen engine is found sooner, by its
    /// health questions. Default 60 s, range 1 s to 1 h.
    /// </summary>
    public TimeSpan EngineSilence { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Factor on the replica's 99th percentile, for both bounds of its engine. Default 10, range 1 to 1,000.</summary>
    public double EngineSilenceFactor { get; init; } = 10;

    /// <summary>
    /// How late a timer may fire. Past it, this process did not run, and that time is left out of every silence. Default 200 ms, range 1 ms to 1 min.
    /// </summary>
    public TimeSpan OwnLateness { get; init; } = TimeSpan.FromMilliseconds(200);

    /// <summary>Longest time a client may leave a full output unread. Default 30 s, range 1 s to 1 h.</summary>
    public TimeSpan SlowClient { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Longest time to regenerate what the client already has of an answer that no engine can resume, from the new attempt's first token. Waiting for a slot
    /// and reading the prompt do not count. Default 30 s, range 0 (never) to 10 min.
    /// </summary>
    public TimeSpan MaxReplay { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Retries after engine faults, as a share of the requests. Default 0.2, range 0 to 1; ten a second are always allowed.</summary>
    public double RetryShare { get; init; } = 0.2;

    /// <summary>Most such retries at once, after a time without retries. Default 100, range 0 (none at all) to 1,000,000.</summary>
    public int RetryBurst { get; init; } = 100;

    /// <summary>Share of <see cref="RetryBurst"/> that one request may use, but at least 3 retries. Default 0.25, range 0 to 1.</summary>
    public double RetryRequestShare { get; init; } = 0.25;

    /// <summary>Hedge every model's requests, not only those that ask for it. Default false.</summary>
    public bool HedgeAll { get; init; }

    /// <summary>Models whose requests are hedged. Default none.</summary>
    public IReadOnlySet<string> HedgedModels { get; init; } = FrozenSet<string>.Empty;

    /// <summary>Hedges, as a share of the requests. Default 0.05, range 0 to 1.</summary>
    public double HedgeShare { get; init; } = 0.05;

    /// <summary>How many times slower than another replica a replica must be before its streams are moved. Default 4, range 1 to 1,000, or 0: never.</summary>
    public double StragglerFactor { get; init; } = 4;

    /// <summary>Streams of drained replicas that may prefill elsewhere at a time; the others stay meanwhile. Default 4, range 1 to 10,000.</summary>
    public int HandOversAtOnce { get; init; } = 4;

    internal int RetriesPerRequest => Math.Max(3, (int)(RetryBurst * RetryRequestShare));

    /// <returns>These options.</returns>
    /// <exception cref="ArgumentException">A value is out of its range; the message names the option, its value and what is allowed.</exception>
    public StreamingOptions Validate()
    {
        OptionGuard.Range(MaxSessions, 1, 1_000_000, "max sessions");
        OptionGuard.Range(JournalBytes, 1 << 10, 1 << 30, "journal bytes");
        OptionGuard.Range(AllJournalsBytes, JournalBytes, 1L << 40, "all journals' bytes");
        OptionGuard.Range(AttemptsWithoutProgress, 1, 100, "attempts without progress");
        OptionGuard.Range(MaxAttempts, 1, 100, "max attempts");
        OptionGuard.Range(LinkSilence, TimeSpan.FromMilliseconds(300), TimeSpan.FromMinutes(1), "link silence");
        OptionGuard.Range(FirstTokenSilence, TimeSpan.FromSeconds(1), LongestSilence, "first-token silence");
        OptionGuard.Range(EngineSilence, TimeSpan.FromSeconds(1), LongestSilence, "engine silence");
        OptionGuard.Range(EngineSilenceFactor, 1, 1_000, "engine silence factor");
        OptionGuard.Range(OwnLateness, TimeSpan.FromMilliseconds(1), TimeSpan.FromMinutes(1), "own lateness");
        OptionGuard.Range(SlowClient, TimeSpan.FromSeconds(1), TimeSpan.FromHours(1), "slow client");
        OptionGuard.Range(MaxReplay, TimeSpan.Zero, TimeSpan.FromMinutes(10), "max replay");
        OptionGuard.Range(RetryShare, 0, 1, "retry share");
        OptionGuard.Range(RetryBurst, 0, 1_000_000, "retry burst");
        OptionGuard.Range(RetryRequestShare, 0, 1, "retry request share");
        OptionGuard.Range(HedgeShare, 0, 1, "hedge share");
        OptionGuard.Range(HandOversAtOnce, 1, 10_000, "hand-overs at once");
        OptionGuard.Require(StragglerFactor is 0 or (>= 1 and <= 1_000), "straggler factor", StragglerFactor, "0 (never), or 1 to 1000");
        return this;
    }
}
