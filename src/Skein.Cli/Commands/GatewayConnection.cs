using Skein.Cli.Settings;
using Skein.Operations.Fleet;

namespace Skein.Cli.Commands;

/// <summary>The gateway that a client verb talks to.</summary>
internal static class GatewayConnection
{
    /// <summary><c>--gateway</c>, a flag of every client verb.</summary>
    public static Setting<Uri> Address { get; } = new(
        "gateway", "url", "Address of a gateway [default: http://127.0.0.1:8080]", "an http:// or https:// address", new Uri("http://127.0.0.1:8080"),
        (string text, out Uri read) => Uri.TryCreate(text, UriKind.Absolute, out read!) && read.Scheme is "http" or "https");

    public static GatewayClient Open(SettingSources sources) => new(Address.Read(sources));
}
