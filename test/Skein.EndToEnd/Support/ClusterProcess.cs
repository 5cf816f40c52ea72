using System.Net.Http.Json;
using System.Text.Json;
using Skein.Gateway.Admin;

namespace Skein.EndToEnd.Support;

/// <summary>A cluster of real processes, started by <c>skein up</c>. Disposing it ends all of them, whatever a test did.</summary>
internal sealed class ClusterProcess : IAsyncDisposable
{
    private readonly HashSet<ProcessHandle> _members = [];

    private ClusterProcess(SkeinProcess supervisor, Uri http, Uri grpc)
    {
        Supervisor = supervisor;
        (Http, Grpc) = (http, grpc);
        Client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = http, Timeout = Timeout.InfiniteTimeSpan };
    }

    public SkeinProcess Supervisor { get; }

    /// <summary>HTTP of the first gateway.</summary>
    public Uri Http { get; }

    /// <summary>gRPC of the first gateway.</summary>
    public Uri Grpc { get; }

    /// <summary>For <see cref="Http"/>; without a timeout of its own.</summary>
    public HttpClient Client { get; }

    /// <summary>Processes of all members that were ever seen.</summary>
    public IReadOnlyCollection<ProcessHandle> MemberHandles => _members;

    /// <summary>Starts it and waits until it says that it is up.</summary>
    /// <param name="flags">Flags of <c>skein up</c>; its port is a free one.</param>
    public static async Task<ClusterProcess> StartAsync(params IEnumerable<string> flags)
    {
        var supervisor = SkeinProcess.Start(["up", "--port", "0", .. flags]);
        try
        {
            // "…, OpenAI-compatible HTTP on http://127.0.0.1:1234/v1, gRPC on 127.0.0.1:1235"
            var banner = await supervisor.LineAsync("Skein is up");
            var http = banner.Split("HTTP on ")[1].Split("/v1")[0];
            var cluster = new ClusterProcess(supervisor, new Uri(http), new Uri("http://" + banner.Split("gRPC on ")[1]));
            await cluster.MembersAsync();
            return cluster;
        }
        catch
        {
            await supervisor.DisposeAsync();
            throw;
        }
    }

    public async Task<IReadOnlyList<MemberRow>> MembersAsync()
    {
        using var timeout = new CancellationTokenSource(Until.DefaultTimeout, TimeProvider.System);
        var rows = await Client.GetFromJsonAsync<MemberRow[]>("/admin/v1/members", JsonSerializerOptions.Web, timeout.Token) ?? [];
        foreach (var row in rows)
        {
            if (Supervisor.Handle.IsRunning && ProcessHandle.Find((int)row.Pid) is { } member)
                _members.Add(member);
        }
        return rows;
    }

    /// <summary>The row of a member once it meets a condition.</summary>
    public Task<MemberRow> MemberAsync(string name, Func<MemberRow, bool> isWanted, string what, TimeSpan? within = null) => Until.FoundAsync(
        async () => (await MembersAsync()).FirstOrDefault(row => row.Name == name && isWanted(row)), $"{name} {what}", within, Logs);

    /// <summary>Waits until every member is alive and the gateway is ready.</summary>
    public Task<IReadOnlyList<MemberRow>> WholeAsync() => Until.FoundAsync(
        async () =>
        {
            var members = await MembersAsync();
            using var ready = await Client.GetAsync("/readyz");
            return ready.IsSuccessStatusCode && members.All(member => member.State == "alive") ? members : null;
        },
        "all members alive and the gateway ready",
        Until.StartTimeout,
        Logs);

    /// <summary>The process of a member, by the pid that the group reports.</summary>
    public async Task<ProcessHandle> HandleOfAsync(string name) => (await HandlesAsync())[name];

    /// <summary>
    /// The running processes of members by name. Tests that signal a process during a stream call this before the stream begins: on a busy machine the stream
    /// could end before the call returns.
    /// </summary>
    public async Task<IReadOnlyDictionary<string, ProcessHandle>> HandlesAsync()
    {
        var handles = new Dictionary<string, ProcessHandle>(StringComparer.Ordinal);
        foreach (var row in await MembersAsync())
        {
            if (ProcessHandle.Find((int)row.Pid) is { } member)
                handles.Add(row.Name, member);
        }
        return handles;
    }

    /// <summary>The cluster's log, for the message of a failure.</summary>
    public string Logs() => $"The cluster said:\n{Supervisor.Errors}";

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await Supervisor.DisposeAsync();
        foreach (var member in _members)
            member.Send(Signal.Kill);
    }
}
