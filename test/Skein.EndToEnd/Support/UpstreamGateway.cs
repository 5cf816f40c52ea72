using System.Net.Http.Json;
using System.Text.Json;
using Skein.Gateway.Admin;

namespace Skein.EndToEnd.Support;

/// <summary>A gateway process with upstreams.</summary>
internal sealed class UpstreamGateway : IAsyncDisposable
{
    private readonly IReadOnlyList<Uri> _upstreams;

    private UpstreamGateway(SkeinProcess process, Uri http, IReadOnlyList<Uri> upstreams)
    {
        (Process, _upstreams) = (process, upstreams);
        Client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = http, Timeout = Timeout.InfiniteTimeSpan };
    }

    public SkeinProcess Process { get; }

    public HttpClient Client { get; }

    public static async Task<UpstreamGateway> StartAsync(IEnumerable<Uri> servers, params IEnumerable<string> flags)
    {
        IReadOnlyList<Uri> upstreams = [.. servers];
        var process = SkeinProcess.Start(
            ["gateway", "--name", "g", "--http", "0", "--grpc", "0", "--gossip", "0", "--upstream", string.Join(',', upstreams), .. flags]);
        try
        {
            var banner = await process.LineAsync("g is up: HTTP on ");
            return new UpstreamGateway(process, new Uri(banner.Split("HTTP on ")[1].Split(',')[0]), upstreams);
        }
        catch
        {
            await process.DisposeAsync();
            throw;
        }
    }

    /// <summary>What clients are told instead of an upstream's address.</summary>
    public string PublicNameOf(string name) =>
        $"upstream-{_upstreams.Select(url => $"{url.Host}:{url.Port}").ToList().IndexOf(name) + 1}";

    /// <summary>The name in the fleet of the upstream that clients know by another one.</summary>
    public string NameOf(string publicName) => _upstreams.Select(url => $"{url.Host}:{url.Port}").Single(name => PublicNameOf(name) == publicName);

    /// <summary>The row of an upstream once it is in a state.</summary>
    public Task<MemberRow> MemberAsync(string name, string state) => Until.FoundAsync(
        async () => (await Client.GetFromJsonAsync<MemberRow[]>("/admin/v1/members", JsonSerializerOptions.Web))!
            .SingleOrDefault(row => row.Name == name && row.State == state),
        $"{name} is {state}", context: () => Process.Errors);

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await Process.DisposeAsync();
    }
}
