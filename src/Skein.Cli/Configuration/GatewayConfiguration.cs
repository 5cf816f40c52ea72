using Skein.Cli.Members;
using Skein.Cli.Settings;
using Skein.Cli.Upstreams;
using Skein.Gateway;

namespace Skein.Cli.Configuration;

/// <summary>Everything that configures a gateway, read and checked. Immutable.</summary>
/// <param name="Certificates">Null: HTTP and gRPC are not encrypted.</param>
/// <param name="LinkKeys">Null: replicas and other gateways get no key.</param>
/// <param name="Keys">Null: nobody needs a key.</param>
internal sealed record GatewayConfiguration(
    SettingSources Sources, EndpointSettings Settings, GatewayOptions Options, IReadOnlyList<ConfiguredUpstream> Upstreams, CertificateFiles? Certificates,
    LinkKeyFile? LinkKeys, GatewayKeys? Keys);
