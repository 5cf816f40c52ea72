
namespace Skein.Load.Chaos.Servers;

/// <summary>Options of a chaos run on model servers. Immutable; validated by <see cref="ServerChaosRun"/>.</summary>
public sealed record ServerChaosOptions
{
    /// <summary>Most concurrent answers.</summary>
    public const int MostStreams = 256;

    /// <summary>HTTP address of the gateway in front of the servers.</summary>
    public required Uri Gateway { get; init; }

    /// <summary>Longest duration of the fault injection. 1 s to 7 days; default 2 min.</summary>
    public TimeSpan Duration { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>Number of faults in the middle of an answer after which the run ends. 1 to 1,000,000; default 1,000,000.</summary>
    public int MaxFaults { get; init; } = 1_000_000;

    /// <summary>Seed of the sequence of faults, servers and moments. Default 1.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Concurrent answers. 1 to <see cref="MostStreams"/>; default 4.</summary>
    public int Streams { get; init; } = 4;

    /// <summary>Maximum answer length in tokens. 1 to 100,000; default 100.</summary>
    public int MaxTokens { get; init; } = 100;

    /// <summary>Questions of each kind. 1 to 100; default 4.</summary>
    public int Questions { get; init; } = 4;

    /// <summary>Kinds of requests. Default: all.</summary>
    public IReadOnlyList<QuestionKind> Requests { get; init; } = QuestionKind.All;

    /// <summary>Further members of every request. Default: none.</summary>
    public IReadOnlyDictionary<string, JsonElement> Extra { get; init; } = new Dictionary<string, JsonElement>();

    /// <summary>Kinds of faults; each must be possible. Default: all that are.</summary>
    public IReadOnlyList<FaultKind>? Kinds { get; init; }

    /// <summary>Whether greedy answers may differ, because the servers do not repeat themselves. Default: false.</summary>
    public bool IsInexact { get; init; }

    /// <summary>Timeout of one request. 1 s to 1 h; default 2 min.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>API key to send. Null (the default): none.</summary>
    public string? Key { get; init; }

    /// <summary>Null (the default): the authorities of the system are trusted, and no certificate is shown.</summary>
    public ClientTls? Tls { get; init; }

    internal void Validate()
    {
        OptionGuard.Range(Duration, TimeSpan.FromSeconds(1), TimeSpan.FromDays(7), nameof(Duration));
        OptionGuard.Range(MaxFaults, 1, 1_000_000, nameof(MaxFaults));
        OptionGuard.Range(Streams, 1, MostStreams, nameof(Streams));
        OptionGuard.Range(MaxTokens, 1, 100_000, nameof(MaxTokens));
        OptionGuard.Range(Questions, 1, 100, nameof(Questions));
        OptionGuard.Require(Requests.Count >= 1, nameof(Requests), Requests.Count, "at least 1");
        var twice = Extra.Keys.FirstOrDefault(BenchOptions.OwnMembers.Contains);
        OptionGuard.Require(twice is null, nameof(Extra), twice, $"all members but {string.Join(", ", BenchOptions.OwnMembers)}");
        OptionGuard.Require(Kinds is not { Count: 0 }, nameof(Kinds), 0, "at least 1");
        OptionGuard.Range(RequestTimeout, TimeSpan.FromSeconds(1), TimeSpan.FromHours(1), nameof(RequestTimeout));
    }
}
