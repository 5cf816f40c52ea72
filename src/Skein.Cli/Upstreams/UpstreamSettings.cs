using Skein.Cli.Members;
using Skein.Cli.Settings;
using Skein.Engines.OpenAiCompatible;
using Skein.Gateway.Upstreams;

namespace Skein.Cli.Upstreams;

/// <summary>The settings of servers that a gateway serves itself.</summary>
internal static class UpstreamSettings
{
    private const int MostUpstreams = 64;

    private static readonly Setting<IReadOnlyList<Uri>> Urls = new(
        "upstream",
        "url",
        "OpenAI-compatible server that this gateway serves itself, without a replica process; several: joined by commas, or given several times",
        $"http:// or https:// addresses without user name, query and fragment, at most {MostUpstreams}, each of another host and port",
        [],
        TryRead,
        repeatable: true);

    private static readonly Setting<int?> Slots = Setting.OptionalNumber(
        "upstream-slots", "Concurrent requests per upstream [default: the server's own number, else a number that begins at 64 and adapts]", 1, 10_000);

    public static IReadOnlyList<ISetting> All { get; } = [Urls, Slots, .. EngineSettings.OfServers];

    /// <summary>The servers, all with the same options.</summary>
    /// <exception cref="UsageException">A value is not allowed.</exception>
    public static IReadOnlyList<UpstreamOptions> Read(SettingSources sources)
    {
        var slots = Slots.Read(sources);
        var engineTimeout = EngineSettings.ReadEngineTimeout(sources);
        List<UpstreamOptions> upstreams =
            [.. Urls.Read(sources).Select(url => Of(EngineSettings.ReadServer("--upstream", url, sources, slots), engineTimeout))];
        if (upstreams.Count == 0 && slots is not null)
            throw new UsageException($"--upstream-slots {slots} is for upstreams; allowed without --upstream: nothing");
        return upstreams;
    }

    private static UpstreamOptions Of(OpenAiEngineOptions server, TimeSpan engineTimeout) => new()
    {
        Name = NameOf(server.BaseUrl),
        ConnectAsync = cancellationToken => OpenAiEngineFactory.ConnectAsync(server, TimeProvider.System, createHandler: null, cancellationToken),
        Slots = server.Slots,
        EngineTimeout = engineTimeout,
    };

    private static string NameOf(Uri url) => $"{url.Host}:{url.Port}";

    private static bool TryRead(string text, out IReadOnlyList<Uri> urls)
    {
        var read = new List<Uri>();
        urls = read;
        foreach (var part in text.Split(',', StringSplitOptions.TrimEntries))
        {
            if (!Uri.TryCreate(part, UriKind.Absolute, out var url) || url is not { Scheme: "http" or "https", UserInfo: "", Query: "", Fragment: "" })
                return false;
            read.Add(url);
        }
        return read.Count <= MostUpstreams && read.DistinctBy(NameOf, StringComparer.OrdinalIgnoreCase).Count() == read.Count;
    }
}
