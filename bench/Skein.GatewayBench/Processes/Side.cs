using System.Net;
using System.Net.Sockets;

namespace Skein.GatewayBench.Processes;

/// <summary>Processes that serve a load.</summary>
internal enum SetupKind
{
    /// <summary>A gateway and a replica whose simulated engine answers as fast as it can.</summary>
    Group,

    /// <summary>A gateway and a replica whose simulated engine keeps a pace.</summary>
    PacedGroup,

    /// <summary>A gateway with <c>--upstream</c> in front of the scripted server.</summary>
    Upstream,
}

/// <summary>How the processes under test compile their code.</summary>
internal enum JitMode
{
    /// <summary>
    /// All code fully optimized at its first use. Figures repeat, and little warm-up is needed. With the runtime's defaults the profile that steers the
    /// optimizer differs from process to process, and with it the cost of the same build.
    /// </summary>
    Full,

    /// <summary>The runtime's defaults, as the program ships: precompiled code, tiers, a profile taken at run time.</summary>
    Tiered,
}

/// <summary>A build under test, or a proxy that only forwards: HAProxy or YARP.</summary>
/// <param name="Name"><c>before</c> or <c>after</c>.</param>
/// <param name="Path">Directory with its skein program, the haproxy program, or <c>yarp</c>.</param>
internal sealed record Build(string Name, string Path)
{
    /// <summary>Whether a path on the command line is the haproxy program.</summary>
    public static bool IsHaproxy(string path) => System.IO.Path.GetFileName(path) == "haproxy" && File.Exists(path);

    /// <summary>Whether it can only forward to the scripted server.</summary>
    public static bool IsProxy(string path) => path == YarpProxy.Role || IsHaproxy(path);
}

/// <summary>The running processes of one build: its gateway and, in a group, its replica. Uses only flags that every release has.</summary>
internal sealed class Side : IDisposable
{
    private const string Slots = "512";
    private static readonly Dictionary<string, string> ShippedJit = [];
    private static readonly Dictionary<string, string> FullJit = new() { ["DOTNET_TieredCompilation"] = "0", ["DOTNET_ReadyToRun"] = "0" };
    // Other work on the machine stalls processes for more than the default of 900 ms.
    private static readonly string[] StallTimeouts = ["--link-stall", "30s", "--engine-stall", "60s"];
    private static readonly TimeSpan ReadyTimeout = TimeSpan.FromSeconds(180);

    private readonly List<IGatewayProcess> _processes = [];
    private readonly string _program;
    private readonly JitMode _jit;

    private Side(string name, string program, JitMode jit)
    {
        (Name, _program, _jit) = (name, program, jit);
        Http = new Uri($"http://127.0.0.1:{FreePort()}");
        Grpc = new Uri($"http://127.0.0.1:{FreePort()}");
    }

    public string Name { get; }

    /// <summary>HTTP endpoint of the gateway.</summary>
    public Uri Http { get; }

    /// <summary>gRPC endpoint of the gateway.</summary>
    public Uri Grpc { get; }

    /// <summary>Starts the processes and waits until the gateway can serve.</summary>
    /// <param name="build">Build under test.</param>
    /// <param name="setup">What to start.</param>
    /// <param name="jit">How its processes compile their code.</param>
    /// <param name="upstream">The scripted server; required by <see cref="SetupKind.Upstream"/>.</param>
    /// <param name="cancellationToken">Ends the start.</param>
    public static async Task<Side> StartAsync(Build build, SetupKind setup, JitMode jit, Uri? upstream, CancellationToken cancellationToken)
    {
        var isProxy = Build.IsProxy(build.Path);
        var program = build.Path == YarpProxy.Role ? Environment.ProcessPath! : isProxy ? build.Path : MemberProcess.ProgramIn(build.Path);
        var side = new Side(build.Name, program, jit);
        try
        {
            if (isProxy)
            {
                if (build.Path == YarpProxy.Role)
                    await side.AddAsync([YarpProxy.Role, $"{side.Http.Port}", upstream!.ToString()], cancellationToken);
                else
                    side._processes.Add(new HaproxyProcess(build.Path, side.Http.Port, upstream!));
                await side.WaitUntilReadyAsync("v1/models", cancellationToken);
                return side;
            }
            var gossip = FreePort();
            string[] common = ["--cluster", $"bench-{build.Name}", "--profile", "wan", "--log", "warning", "--supervised"];
            string[] upstreams = upstream is null ? [] : ["--upstream", upstream.ToString(), "--upstream-slots", Slots, "--engine-kind", "openai"];
            await side.AddAsync(
                ["gateway", "--http", $"{side.Http.Port}", "--grpc", $"{side.Grpc.Port}", "--gossip", $"{gossip}", .. upstreams, .. StallTimeouts, .. common],
                cancellationToken);
            if (setup != SetupKind.Upstream)
            {
                string[] engine = ["--engine", "simulated", "--tokens-per-second", setup == SetupKind.PacedGroup ? $"{Load.PacedTokensPerSecond}" : "0"];
                await side.AddAsync(
                    ["replica", .. engine, "--slots", Slots, "--grpc", "0", "--gossip", "0", "--join", $"127.0.0.1:{gossip}", .. common], cancellationToken);
            }
            await side.WaitUntilReadyAsync("readyz", cancellationToken);
            return side;
        }
        catch
        {
            side.Dispose();
            throw;
        }
    }

    /// <summary>CPU time that the gateway process has used so far.</summary>
    public TimeSpan GatewayCpu() => _processes[0].Cpu.Read();

    public void Dispose()
    {
        foreach (var process in Enumerable.Reverse(_processes))
            process.Dispose();
    }

    private async Task AddAsync(string[] arguments, CancellationToken cancellationToken)
    {
        var process = new MemberProcess(_program, arguments, _jit == JitMode.Full ? FullJit : ShippedJit);
        _processes.Add(process);
        await process.ReadyAsync(cancellationToken);
    }

    private async Task WaitUntilReadyAsync(string path, CancellationToken cancellationToken)
    {
        using var http = new HttpClient();
        using var deadline = new CancellationTokenSource(ReadyTimeout, TimeProvider.System);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        while (true)
        {
            if (await IsReadyAsync(http, path, either.Token))
                return;
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, either.Token);
        }
    }

    private async Task<bool> IsReadyAsync(HttpClient http, string path, CancellationToken cancellationToken)
    {
        try
        {
            using var response = await http.GetAsync(new Uri(Http, path), cancellationToken);
            return response.IsSuccessStatusCode;
        }
        catch (HttpRequestException error) when (error.HttpRequestError == HttpRequestError.ConnectionError)
        {
            return false; // It does not listen yet.
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
