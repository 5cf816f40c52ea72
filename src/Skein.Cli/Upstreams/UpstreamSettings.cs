using Skein.Cli.Members;
using Skein.Cli.Settings;
using Skein.Engines.OpenAiCompatible;
using Skein.Gateway.Upstreams;

namespace Skein.Cli.Upstreams;

/// <summary>The settings of servers that a gateway serves itself.</summary>
internal static class UpstreamSettings
{
    private const int MostUpstreams = 64;
    private const string ListKey = "upstreams";

    private static readonly Setting<IReadOnlyList<Uri>> Urls = new Setting<IReadOnlyList<Uri>>(
        "upstream",
        "url",
        "OpenAI-compatible server that this gateway serves itself, without a replica process; several: joined by commas, or given several times",
        $"http:// or https:// addresses without user name, query and fragment, at most {MostUpstreams}, each of another host and port",
        [],
        TryRead,
        repeatable: true).WithList(ListKey);

    private static readonly Setting<int?> Slots = Setting.OptionalNumber(
        "upstream-slots", "Concurrent requests per upstream [default: the server's own number, else a number that begins at 64 and adapts]", 1, 10_000);

    public static IReadOnlyList<ISetting> All { get; } = [Urls, Slots, .. EngineSettings.OfServers];

    /// <summary>The servers: those of the flag, all with the same options, and those of <c>upstreams</c> in the file, each with its own.</summary>
    /// <exception cref="UsageException">A value is not allowed.</exception>
    public static IReadOnlyList<UpstreamOptions> Read(SettingSources sources)
    {
        var slots = Slots.Read(sources);
        var engineTimeout = EngineSettings.ReadEngineTimeout(sources);
        List<UpstreamOptions> upstreams =
            [.. Urls.Read(sources).Select(url => Of(EngineSettings.ReadServer("--upstream", url, sources, slots), engineTimeout))];
        if (sources.FindList(ListKey) is (var list, var path))
        {
            foreach (var entry in UpstreamEntry.Read(list, path))
            {
                var server = entry.ToOptions(EngineSettings.ReadServer("upstreams:", entry.Url, sources, slots));
                var upstream = Of(server, engineTimeout) with { Weight = entry.Weight };
                if (entry.Name is { } name)
                    upstream = upstream with { Name = name, Label = name };
                if (upstreams.Any(other => other.Name == upstream.Name))
                    throw entry.Error("name", $"is '{upstream.Name}', as of another upstream; allowed: a name of its own [default: host:port]");
                upstreams.Add(upstream);
            }
            if (upstreams.Count > MostUpstreams)
                throw new UsageException($"'{ListKey}' in {path} and --upstream give {upstreams.Count} servers; allowed: up to {MostUpstreams}");
        }
        if (upstreams.Count == 0 && slots is not null)
            throw new UsageException($"--upstream-slots {slots} is for upstreams; allowed without --upstream: nothing");
        return upstreams;
    }

    private static UpstreamOptions Of(OpenAiEngineOptions server, TimeSpan engineTimeout) => new()
    {
        Name = NameOf(server.BaseUrl),
        ConnectAsync = cancellationToken => OpenAiEngineFactory.ConnectAsync(server, TimeProvider.System, createHandler: null, cancellationToken),
        Url = server.BaseUrl,
        Models = server.Model is { } model ? [model, .. server.Aliases] : [],
        Slots = server.Slots,
        EngineTimeout = engineTimeout,
    };

    private static string NameOf(Uri url) => $"{url.Host}:{url.Port}";

    /// <summary>Reads addresses, joined by commas, each of another host and port.</summary>
    public static bool TryRead(string text, out IReadOnlyList<Uri> urls)
    {
        var read = new List<Uri>();
        urls = read;
        foreach (var part in text.Split(',', StringSplitOptions.TrimEntries))
        {
            if (UpstreamEntry.ReadUrl(part) is not { } url)
                return false;
            read.Add(url);
        }
        return read.Count <= MostUpstreams && read.DistinctBy(NameOf, StringComparer.OrdinalIgnoreCase).Count() == read.Count;
    }
}
