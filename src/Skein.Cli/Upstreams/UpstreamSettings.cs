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
        repeatable: true).WithList(ListKey).Live();

    private static readonly Setting<int?> Slots = Setting.OptionalNumber(
        "upstream-slots", "Concurrent requests per upstream [default: the server's own number, else a number that begins at 64 and adapts]", 1, 10_000).Live();

    public static IReadOnlyList<ISetting> All { get; } = [Urls, Slots, .. EngineSettings.OfServers];

    /// <summary>The servers: those of the flag, all with the same options, and those of <c>upstreams</c> in the file, each with its own.</summary>
    /// <exception cref="UsageException">A value is not allowed.</exception>
    public static IReadOnlyList<UpstreamOptions> Read(SettingSources sources) => [.. ReadConfigured(sources).Select(upstream => upstream.Options)];

    /// <summary>The same with what tells whether a changed file changes an upstream.</summary>
    /// <exception cref="UsageException">A value is not allowed.</exception>
    public static IReadOnlyList<ConfiguredUpstream> ReadConfigured(SettingSources sources)
    {
        var slots = Slots.Read(sources);
        var engineTimeout = EngineSettings.ReadEngineTimeout(sources);
        List<ConfiguredUpstream> upstreams = [];
        foreach (var url in Urls.Read(sources))
        {
            if (SameServer(upstreams, url) is { } same)
                throw new UsageException($"--upstream {url} is the server of {same.Url}; allowed: each server once");
            upstreams.Add(ConfiguredUpstream.Of(EngineSettings.ReadServer("--upstream", url, sources, slots), engineTimeout));
        }
        if (sources.FindList(ListKey) is (var list, var path))
        {
            foreach (var entry in UpstreamEntry.Read(list, path))
            {
                var server = entry.ToOptions(EngineSettings.ReadServer("upstreams:", entry.Url, sources, slots));
                var upstream = ConfiguredUpstream.Of(server, engineTimeout, entry.Name, entry.Weight);
                if (SameServer(upstreams, entry.Url) is { } same)
                    throw entry.Error("url", $"is {entry.Url}, the server of upstream '{same.Name}'; allowed: each server once");
                if (upstreams.Any(other => other.Options.Name == upstream.Options.Name))
                    throw entry.Error("name", $"is '{upstream.Options.Name}', as of another upstream; allowed: a name of its own [default: host:port]");
                upstreams.Add(upstream);
            }
            if (upstreams.Count > MostUpstreams)
                throw new UsageException($"'{ListKey}' in {path} and --upstream give {upstreams.Count} servers; allowed: up to {MostUpstreams}");
        }
        if (upstreams.Count == 0 && slots is not null)
            throw new UsageException($"--upstream-slots {slots} is for upstreams; allowed without --upstream: nothing");
        return upstreams;
    }

    private static UpstreamOptions? SameServer(IEnumerable<ConfiguredUpstream> upstreams, Uri url) =>
        upstreams.Select(upstream => upstream.Options).FirstOrDefault(other => UpstreamSharing.IsSameServer(other.Url!, url));

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
        return read.Count <= MostUpstreams && read.DistinctBy(ConfiguredUpstream.NameOf, StringComparer.OrdinalIgnoreCase).Count() == read.Count;
    }
}
