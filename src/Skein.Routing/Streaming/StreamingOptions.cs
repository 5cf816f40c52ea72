using System.Collections.Frozen;

namespace Skein.Routing.Streaming;

/// <summary>Bounds of sessions. Immutable.</summary>
public sealed record StreamingOptions
{
    /// <summary>Most sessions at a time. Default 20,000.</summary>
    public int MaxSessions { get; init; } = 20_000;

    /// <summary>Most bytes of one branch's journal, and of one session's unread output. Default 1 MiB.</summary>
    public int JournalBytes { get; init; } = 1 << 20;

    /// <summary>Most bytes of all journals; no session starts past it. Default 1 GiB.</summary>
    public long AllJournalsBytes { get; init; } = 1L << 30;

    /// <summary>Attempts lost one after the other without a new token before the request is called poison. Default 2.</summary>
    public int AttemptsWithoutProgress { get; init; } = 2;

    /// <summary>Longest time without any frame, heartbeats included. Default 900 ms; replicas beat every 250 ms.</summary>
    public TimeSpan LinkSilence { get; init; } = TimeSpan.FromMilliseconds(900);

    /// <summary>Longest time from dispatch to the first token. Default 120 s.</summary>
    public TimeSpan FirstTokenSilence { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>
    /// Longest time between tokens, at least; the bound is <see cref="EngineSilenceFactor"/> times the 99th percentile of the replica's last few thousand gaps if
    /// that is more. Default 5 s.
    /// </summary>
    public TimeSpan EngineSilence { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Factor on the 99th percentile of the replica's gaps between tokens. Default 10.</summary>
    public double EngineSilenceFactor { get; init; } = 10;

    /// <summary>How late a timer may be before this process blames itself and waits one more round. Default 200 ms.</summary>
    public TimeSpan OwnLateness { get; init; } = TimeSpan.FromMilliseconds(200);

    /// <summary>Longest time a client may leave a full output unread. Default 30 s.</summary>
    public TimeSpan SlowClient { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Longest time for making an answer again up to where it was lost, where no engine can resume it. Default 2 s, 0 never does.
    /// </summary>
    public TimeSpan MaxReplay { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Retries after engine faults, as a share of the requests. Default 0.2, range 0 to 1; ten a second are always allowed.</summary>
    public double RetryShare { get; init; } = 0.2;

    /// <summary>Most such retries at once, after a quiet time. Default 100.</summary>
    public int RetryBurst { get; init; } = 100;

    /// <summary>Hedge every model's requests, not only those that ask for it. Default false.</summary>
    public bool HedgeAll { get; init; }

    /// <summary>Models whose requests are hedged. Default none.</summary>
    public IReadOnlySet<string> HedgedModels { get; init; } = FrozenSet<string>.Empty;

    /// <summary>Hedges, as a share of the requests. Default 0.05, range 0 to 1.</summary>
    public double HedgeShare { get; init; } = 0.05;

    /// <summary>How many times slower than another replica one must be before its streams are moved. Default 4; 0 never moves.</summary>
    public double StragglerFactor { get; init; } = 4;
}
