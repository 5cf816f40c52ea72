// A gateway and two replicas under .NET Aspire: its dashboard shows their logs, metrics and traces. First: dotnet build src/Skein.Cli
using System.Globalization;
using System.Runtime.CompilerServices;

const int Gossip = 17946;
const int Http = 18080;

var builder = DistributedApplication.CreateBuilder(args);
var seed = $"127.0.0.1:{Gossip}";

var gateway = builder.AddExecutable("gateway", "dotnet", Folder(), Skein("gateway", "--name", "gateway"))
    .WithArgs("--http", Text(Http), "--grpc", "0", "--gossip", Text(Gossip), "--expected-replicas", "2")
    .WithHttpEndpoint(port: Http, targetPort: Http, isProxied: false)
    .WithHttpHealthCheck("/readyz")
    .WithOtlpExporter();

foreach (var name in (string[])["replica-1", "replica-2"])
{
    builder.AddExecutable(name, "dotnet", Folder(), Skein("replica", "--name", name))
        .WithArgs("--engine", "embedded", "--grpc", "0", "--gossip", "0", "--join", seed)
        .WithOtlpExporter()
        .WithParentRelationship(gateway);
}

await builder.Build().RunAsync();

static string[] Skein(params string[] arguments) => ["exec", "skein.dll", .. arguments];

static string Text(int port) => port.ToString(CultureInfo.InvariantCulture);

// Where the build of src/Skein.Cli puts the program.
static string Folder([CallerFilePath] string here = "") =>
    Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "..", "artifacts", "bin", "Skein.Cli", "debug"));
