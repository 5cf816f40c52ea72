using System.Net;

namespace Skein.Cli.Members;

/// <summary>What is open to whom after a start, and what closes it. Lines of at most 78 characters, unless they hold the path of a file.</summary>
internal static class OpenDoors
{
    private const string Encrypt = "(close: --tls-cert and --tls-key; for a trial --tls-dev)";

    /// <param name="hasClientAuthority">Whether only clients with a certificate are served (mTLS).</param>
    /// <param name="trial">Path of a certificate that was made for a trial; null: none.</param>
    public static IEnumerable<string> OfGateway(
        IPAddress bind, OpenKeys keys, bool hasTls, string? trial, bool hasGossipKeys, bool hasClientAuthority = false) =>
    [
        .. hasClientAuthority ? ["closed to clients without a certificate (--tls-client-ca); of those with one:"] : Array.Empty<string>(),
        .. OfApi(hasClientAuthority ? "all of them" : WhoReaches(bind), keys),
        .. hasTls ? Array.Empty<string>() : ["not encrypted: HTTP and gRPC", $"  {Encrypt}"],
        .. trial is null ? Array.Empty<string>() : ["encrypted for a trial; clients trust it with (curl: --cacert)", $"  --ca {trial}"],
        .. OfGossip(WhoReaches(bind), hasGossipKeys, "--gossip-key-file"),
    ];

    /// <inheritdoc cref="OfGateway"/>
    public static IEnumerable<string> OfReplica(IPAddress bind, bool hasLinkKeys, bool hasTls, string? trial, bool hasGossipKeys) =>
    [
        .. OfReplicas(WhoReaches(bind), hasLinkKeys, "--link-key-file"),
        .. hasTls ? Array.Empty<string>() : ["not encrypted: gRPC", $"  {Encrypt}"],
        .. trial is null ? Array.Empty<string>() : ["encrypted for a trial; gateways trust it with", $"  --link-ca {trial}"],
        .. OfGossip(WhoReaches(bind), hasGossipKeys, "--gossip-key-file"),
    ];

    /// <summary>Those of <c>skein up</c>, whose members are set by flags for clients and by the environment for the rest.</summary>
    /// <param name="hasTls">Whether the gateways are encrypted.</param>
    public static IEnumerable<string> OfCluster(IPAddress bind, OpenKeys keys, bool hasTls, bool hasLinkKeys, bool hasGossipKeys) =>
    [
        .. OfApi(WhoReaches(bind), keys),
        .. hasTls ? Array.Empty<string>() : ["not encrypted: HTTP and gRPC of the gateways (close: --tls-dev)"],
        .. OfReplicas(WhoReaches(bind), hasLinkKeys, "SKEIN_LINK_KEY_FILE"),
        .. OfGossip(WhoReaches(bind), hasGossipKeys, "SKEIN_GOSSIP_KEY_FILE"),
    ];

    private static string WhoReaches(IPAddress bind) => IPAddress.IsLoopback(bind) ? "everybody on this machine" : "everybody who reaches this address";

    private static IEnumerable<string> OfApi(string who, OpenKeys keys)
    {
        const string Admin = "open with an admin key: /admin and /metrics; with a metrics key: /metrics";
        return keys.ForClients
            ? ["open without a key: / /dashboard/* /livez /readyz /health /ping", "open with any key: HTTP and gRPC, /version and /openapi.json too", Admin]
            : keys.ForAdmins
            ? [$"open to {who} (close: --api-key-file):", "  HTTP and gRPC, / /version /openapi.json too", Admin]
            :
            [
                $"open to {who} (close: --api-key-file):",
                "  HTTP and gRPC, / /version /openapi.json /admin /metrics too",
                "  (close /admin and /metrics alone: --admin-key-file)",
            ];
    }

    private static IEnumerable<string> OfReplicas(string who, bool hasLinkKeys, string close) => hasLinkKeys
        ? ["open with the link key: gRPC of replicas; without: its health checks"]
        : [$"open to {who}: gRPC of replicas", $"  (close: {close})"];

    private static IEnumerable<string> OfGossip(string who, bool hasKeys, string close) =>
        hasKeys ? [] : [$"open to {who}: the group, by gossip", $"  (not encrypted; close: {close})"];
}

/// <summary>Who needs API keys.</summary>
/// <param name="ForAdmins">True if clients need keys.</param>
internal readonly record struct OpenKeys(bool ForClients, bool ForAdmins);
