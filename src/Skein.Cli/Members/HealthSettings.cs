using Skein.Cli.Settings;
using Skein.Routing.Health;

namespace Skein.Cli.Members;

/// <summary>Circuit breaker and slow start of replicas.</summary>
internal static class HealthSettings
{
    private static readonly BreakerOptions Breaker = new();
    private static readonly SlowStartOptions SlowStart = new();
    private static readonly TimeSpan LeastOpen = TimeSpan.FromMilliseconds(100);

    private static readonly Setting<int> Failures = Setting.Number(
        "breaker-failures", "Consecutive failures that eject a replica [default: 5]", Breaker.FailuresInARow, 1, 1_000).Live();

    private static readonly Setting<double> Rate = Setting.Share(
        "breaker-rate", "Failure rate within --breaker-window that ejects a replica, above 0 [default: 0.5]", Breaker.FailureRate).Live();

    private static readonly Setting<int> Attempts = Setting.Number(
        "breaker-attempts", "Minimum attempts within --breaker-window for --breaker-rate to apply [default: 20]", Breaker.FewestAttempts, 1, 100_000).Live();

    private static readonly Setting<TimeSpan> Window = Setting.Duration(
        "breaker-window", "Period of the failure rate, 1s to 10m [default: 10s]",
        Breaker.Window, TimeSpan.FromMinutes(10), TimeSpan.FromSeconds(1)).Live();

    private static readonly Setting<TimeSpan> Open = Setting.Duration(
        "breaker-open", "Duration of the first ejection, from 100ms; doubled by each failed trial [default: 5s]",
        Breaker.OpenFor, TimeSpan.FromHours(1), LeastOpen).Live();

    private static readonly Setting<TimeSpan> LongestOpen = Setting.Duration(
        "breaker-longest-open", "Maximum duration of an ejection, at least --breaker-open [default: 60s, or --breaker-open]",
        Breaker.LongestOpen, TimeSpan.FromHours(1), LeastOpen).Live();

    private static readonly Setting<int> Trials = Setting.Number(
        "breaker-trials", "Consecutive successful trials that end an ejection [default: 2]", Breaker.TrialsToClose, 1, 100).Live();

    private static readonly Setting<double> MaxEjected = Setting.Real(
        "breaker-max-ejected", "Maximum share of a model's replicas that may be ejected; 0 disables the breaker [default: 0.5]", Breaker.MaxEjectedShare, 0, 1)
        .Live();

    private static readonly Setting<TimeSpan> Ramp = Setting.Duration(
        "slow-start", "Time until a new or returning replica gets its full share; 0s disables slow start [default: 10s]",
        SlowStart.Duration, TimeSpan.FromMinutes(10)).Live();

    private static readonly Setting<double> InitialShare = Setting.Share(
        "slow-start-share", "Share of its weight that it begins with, above 0 [default: 0.1]", SlowStart.InitialShare).Live();

    public static IReadOnlyList<ISetting> All { get; } =
        [Failures, Rate, Attempts, Window, Open, LongestOpen, Trials, MaxEjected, Ramp, InitialShare];

    public static HealthOptions Read(SettingSources sources)
    {
        var open = Open.Read(sources);
        var longest = LongestOpen.Read(sources);
        var options = new HealthOptions
        {
            Breaker = new BreakerOptions
            {
                FailuresInARow = Failures.Read(sources),
                FailureRate = Rate.Read(sources),
                FewestAttempts = Attempts.Read(sources),
                Window = Window.Read(sources),
                OpenFor = open,
                // A longer first ejection implies that later ones are not shorter.
                LongestOpen = longest < open && !LongestOpen.IsSet(sources) ? open : longest,
                TrialsToClose = Trials.Read(sources),
                MaxEjectedShare = MaxEjected.Read(sources),
            },
            SlowStart = new SlowStartOptions { Duration = Ramp.Read(sources), InitialShare = InitialShare.Read(sources) },
        };
        if (options.Breaker.LongestOpen < open && sources.Find(LongestOpen) is { } found)
            throw new UsageException($"{found.Origin} '{found.Value}' is not allowed; allowed: from {Durations.Text(open)}, as --breaker-open");
        return options;
    }
}
