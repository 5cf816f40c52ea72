using Skein.Cli.Commands;
using Skein.Cli.Members;
using Skein.Cli.Settings;
using Skein.Cli.Upstreams;

namespace Skein.Cli;

/// <summary>What the help of verbs has beside the description of each option: titles of groups, and examples.</summary>
internal static class HelpPages
{
    /// <summary>Groups in the order in which they are shown. What is in none of them comes first, under <c>Options</c>.</summary>
    public static IReadOnlyList<(string Title, IReadOnlyList<string> Options)> Groups { get; } =
    [
        ("Model servers", NamesOf([.. UpstreamSettings.All, EngineSettings.Engine, .. EngineSettings.Details])),
        ("Queue and balancing", NamesOf(GatewayCommand.OfQueue)),
        ("APIs", NamesOf(ApiSettings.All)),
        ("Answers and failover", NamesOf(StreamSettings.All)),
        ("Health of replicas", NamesOf(HealthSettings.All)),
        ("Bounds", NamesOf(BoundSettings.All)),
        ("Keys and certificates",
            [.. NamesOf([.. GatewayKeys.All, .. LinkKeyFile.All, .. CertificateFiles.All, .. GatewayConnection.Credentials]), "--link-ca"]),
        ("Group and network", NamesOf(EndpointSettings.All)),
        ("Telemetry and logs", [.. NamesOf(TelemetrySettings.All), "--log", "--log-format"]),
    ];

    /// <summary>By path of the verb.</summary>
    public static IReadOnlyDictionary<string, IReadOnlyList<string>> Examples { get; } = new Dictionary<string, IReadOnlyList<string>>(StringComparer.Ordinal)
    {
        ["up"] = ["skein up", "skein up --replicas 2 --engine http://127.0.0.1:8000"],
        ["gateway"] =
        [
            "skein gateway --upstream http://10.0.0.5:8000,http://10.0.0.6:8000",
            "skein gateway --config skein.json",
        ],
        ["replica"] = ["skein replica --engine http://127.0.0.1:8000 --join 10.0.0.1:7946 --bind 10.0.0.5"],
        ["status"] = ["skein status --watch"],
        ["drain"] = ["skein drain replica-1 --grace 30s"],
        ["rollout"] = ["""skein rollout --revision 2026-12 --command "ssh {name} sudo systemctl restart skein-replica" """.TrimEnd()],
        ["chat"] = ["""skein chat "Tell me a story." """.TrimEnd()],
        ["bench"] = ["skein bench --target http://127.0.0.1:8000 --concurrency 16 --requests 500"],
        ["chaos"] = ["skein chaos --duration 1m", "skein chaos --upstream http://10.0.0.5:8000,http://10.0.0.6:8000"],
        ["engines check"] = ["skein engines check http://10.0.0.5:8000"],
        ["config check"] = ["skein config check --config skein.json"],
        ["api-keys new"] =
        [
            "skein api-keys new keys.json --name team-a --requests-per-minute 600",
            "skein api-keys new admin-keys.json --name prometheus --metrics only",
        ],
    };

    private static IReadOnlyList<string> NamesOf(IEnumerable<ISetting> settings) => [.. settings.Select(setting => setting.Option.Name)];
}
