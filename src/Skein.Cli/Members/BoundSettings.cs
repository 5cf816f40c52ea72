using Skein.Cli.Settings;
using Skein.Gateway;

namespace Skein.Cli.Members;

/// <summary>Limits of a gateway.</summary>
internal static class BoundSettings
{
    private static readonly GatewayOptions Defaults = new();

    private static readonly Setting<int> Sessions = Setting.Number(
        "max-sessions", "Maximum requests that run or wait [default: 20000]", Defaults.Streaming.MaxSessions, 1, 1_000_000).Live();

    private static readonly Setting<long> RequestMemoryBudget = Setting.Size(
        "max-body-memory", "Maximum memory of all request bodies, gRPC messages included [default: 1GiB]",
        Defaults.Api.MaxBodyMemoryBytes, Defaults.Api.MaxBodyBytes, 1L << 40).Live();

    private static readonly Setting<long> Journal = Setting.Size(
        "max-journal", "Maximum journal of one answer, which a failover needs [default: 1MiB]", Defaults.Streaming.JournalBytes, 1 << 10, 1 << 30).Live();

    private static readonly Setting<long> JournalMemory = Setting.Size(
        "max-journal-memory", "Maximum memory of all journals, at least --max-journal [default: 1GiB]", Defaults.Streaming.AllJournalsBytes, 1 << 10, 1L << 40)
        .Live();

    private static readonly Setting<long> Headers = Setting.Size(
        "max-headers", "Maximum total size of request headers [default: 32KiB]", Defaults.MaxRequestHeadersBytes, 1 << 10, 1 << 20);

    private static readonly Setting<int?> Connections = Setting.OptionalNumber(
        "max-connections", "Maximum open connections of clients [default: 10000, or what the limit of open files leaves]", 1, 1_000_000);

    private static readonly Setting<int> AttemptsWithoutProgress = Setting.Number(
        "attempts-without-progress", "Consecutive attempts lost without a new token after which a request fails [default: 2]",
        Defaults.Streaming.AttemptsWithoutProgress, 1, 100).Live();

    private static readonly Setting<int> MaxAttempts = Setting.Number(
        "max-attempts", "Maximum attempts of one answer; handovers and hedges do not count [default: 8]", Defaults.Streaming.MaxAttempts, 1, 100).Live();

    private static readonly Setting<bool> ClampMaxTokens = Setting.Flag(
        "clamp-max-tokens", "Lower max_tokens to what the context leaves where the engine would refuse the request [default: false]");

    public static IReadOnlyList<ISetting> All { get; } =
        [Sessions, Connections, RequestMemoryBudget, Journal, JournalMemory, Headers, AttemptsWithoutProgress, MaxAttempts, ClampMaxTokens];

    public static GatewayOptions Read(SettingSources sources, GatewayOptions options)
    {
        var journal = Journal.Read(sources);
        var allJournals = JournalMemory.Read(sources);
        if (allJournals < journal)
            throw new UsageException($"--max-journal {Sizes.Text(journal)} is over --max-journal-memory; allowed: up to {Sizes.Text(allJournals)}");
        return options with
        {
            MaxConnections = ReadConnections(sources),
            MaxRequestHeadersBytes = (int)Headers.Read(sources),
            Api = options.Api with { MaxBodyMemoryBytes = RequestMemoryBudget.Read(sources), ClampMaxTokens = ClampMaxTokens.Read(sources) },
            Streaming = options.Streaming with
            {
                MaxSessions = Sessions.Read(sources),
                JournalBytes = (int)journal,
                AllJournalsBytes = allJournals,
                AttemptsWithoutProgress = AttemptsWithoutProgress.Read(sources),
                MaxAttempts = MaxAttempts.Read(sources),
            },
        };
    }

    private static int ReadConnections(SettingSources sources)
    {
        var most = OpenFiles.ConnectionsLeft() ?? int.MaxValue;
        if (Connections.Read(sources) is not { } asked)
            return Math.Min(Defaults.MaxConnections, most);
        return asked <= most ? asked : throw new UsageException(
            $"--max-connections {asked} is more than the limit of open files leaves; allowed: up to {most}, or a higher limit (ulimit -n, LimitNOFILE)");
    }
}
