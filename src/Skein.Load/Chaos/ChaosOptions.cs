
namespace Skein.Load.Chaos;

/// <summary>Options of a chaos run. Immutable; validated by <see cref="ChaosRun"/>.</summary>
public sealed record ChaosOptions
{
    /// <summary>Addresses under load, as in <see cref="BenchOptions.Target"/>; streams are spread evenly. At least one.</summary>
    public required IReadOnlyList<Uri> Targets { get; init; }

    /// <summary>Duration of the fault injection. 1 s to 7 days; default 2 min.</summary>
    public TimeSpan Duration { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>Seed of the sequence of faults and replicas. Default 1.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Concurrent streams. 1 to 20,000; default 60.</summary>
    public int Streams { get; init; } = 60;

    /// <summary>Maximum answer length in tokens. 1 to 1,000,000; default 100.</summary>
    public int MaxTokens { get; init; } = 100;

    /// <summary>Time between faults. 10 ms to 1 h; default 1 s.</summary>
    public TimeSpan FaultEvery { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Replicas that are healthy at any time. At least 1; default 2.</summary>
    public int LeftAlone { get; init; } = 2;

    /// <summary>Kinds of faults. Default: all.</summary>
    public IReadOnlyList<FaultKind> Kinds { get; init; } = Enum.GetValues<FaultKind>();

    /// <summary>API key to send. Null (the default): none.</summary>
    public string? Key { get; init; }

    /// <summary>Null (the default): the authorities of the system are trusted, and no certificate is shown.</summary>
    public ClientTls? Tls { get; init; }

    internal void Validate()
    {
        OptionGuard.Require(Targets.Count >= 1, nameof(Targets), Targets.Count, "at least 1");
        OptionGuard.Range(Duration, TimeSpan.FromSeconds(1), TimeSpan.FromDays(7), nameof(Duration));
        OptionGuard.Range(FaultEvery, TimeSpan.FromMilliseconds(10), TimeSpan.FromHours(1), nameof(FaultEvery));
        OptionGuard.Require(LeftAlone >= 1, nameof(LeftAlone), LeftAlone, "at least 1");
        OptionGuard.Require(Kinds.Count >= 1, nameof(Kinds), Kinds.Count, "at least 1");
    }
}

public enum FaultKind
{
    /// <summary>The process is killed (SIGKILL).</summary>
    Kill,

    /// <summary>The process is stopped for a while (SIGSTOP) and then continued.</summary>
    Freeze,

    /// <summary>The process runs a tenth of the time for a while.</summary>
    Slow,

    /// <summary>The replica is drained, and undrained once it is idle.</summary>
    Drain,

    /// <summary>The process is terminated (SIGTERM) and restarted.</summary>
    Restart,

    /// <summary>The replica is drained and restarted at another revision.</summary>
    Upgrade,

    /// <summary>30 % of all packets to and from the replica are lost for a while, UDP and TCP.</summary>
    Loss,

    /// <summary>
    /// All packets to and from the replica are lost for a while. Of a model server: all its connections break, and new ones are refused for a while.
    /// </summary>
    Cut,
}

/// <summary>One fault.</summary>
/// <param name="Duration">Duration of a freeze, slow, loss or cut fault.</param>
public sealed record InjectedFault(FaultKind Kind, string Replica, TimeSpan Duration);
