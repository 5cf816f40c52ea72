using Skein.Cli.Settings;
using Skein.Gateway;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Group;
using Skein.Gateway.Upstreams;

namespace Skein.Cli.Members;

/// <summary>What a gateway's APIs serve beside the models of the fleet.</summary>
internal static class ApiSettings
{
    private static readonly ApiOptions Defaults = new();

    private static readonly Setting<IReadOnlyList<string>> PassThrough = Setting.List(
        "pass-through", "path", "Further path of the servers that is passed on by model, such as /v1/voices; repeatable",
        ApiOptions.AllowedPassThrough, 64, ApiOptions.IsPassThrough);

    private static readonly Setting<IReadOnlyList<string>> CorsOrigins = Setting.List(
        "cors-origin", "origin", "Origin of web pages that may use the APIs, such as https://chat.example; repeatable; * allows any",
        "origins such as https://chat.example, or *", 64, ApiOptions.IsOrigin);

    private static readonly Setting<IReadOnlyList<ModelAlias>> Aliases = new Setting<IReadOnlyList<ModelAlias>>(
        "alias", "name=model", "Further name of one or several models: NAME=MODEL[,MODEL]; repeatable", "NAME=MODEL or NAME=MODEL,MODEL", [],
        TryReadAliases, repeatable: true)
        .As(SettingShape.Of(typeof(string), isList: true), TextOf).Live();

    private static readonly Setting<TimeSpan> HeaderHold = Setting.Duration(
        "header-hold", "How long a stream that has left the queue waits for its first token before its headers are sent [default: 15s]",
        Defaults.HeaderHold, TimeSpan.FromHours(1), TimeSpan.FromMilliseconds(1));

    private static readonly Setting<bool> StreamToolCalls = Setting.Flag(
        "stream-tool-calls", "Stream tool calls as the servers make them [default: false, each call comes whole; a request may ask for it]");

    public static IReadOnlyList<ISetting> All { get; } = [Aliases, PassThrough, CorsOrigins, HeaderHold, StreamToolCalls];

    public static GatewayOptions Read(SettingSources sources, GatewayOptions options) => options with
    {
        Aliases = Aliases.Read(sources),
        Api = options.Api with
        {
            PassThrough = PassThrough.Read(sources),
            CorsOrigins = CorsOrigins.Read(sources),
            HeaderHold = HeaderHold.Read(sources),
            StreamToolCalls = StreamToolCalls.Read(sources),
        },
    };

    /// <summary>Refuses an alias that no server can serve: all are configured with their models, and no other member is to be joined.</summary>
    /// <exception cref="UsageException">There is such an alias.</exception>
    public static void RefuseDangling(IReadOnlyList<ModelAlias> aliases, IReadOnlyList<UpstreamOptions> upstreams, bool joinsGroup)
    {
        if (joinsGroup || upstreams.Count == 0 || upstreams.Any(upstream => upstream.Models.Count == 0))
            return;
        HashSet<string> models = [.. upstreams.SelectMany(upstream => upstream.Models)];
        if (aliases.FirstOrDefault(alias => !models.Contains(alias.Name) && !alias.Models.Any(models.Contains)) is { } dangling)
        {
            throw new UsageException(
                $"--alias {dangling.Name}={string.Join(',', dangling.Models)} is for no model of an upstream; "
                + $"allowed: {string.Join(", ", models.Order(StringComparer.Ordinal))}");
        }
    }

    private static string? TextOf(IReadOnlyList<ModelAlias> aliases) =>
        aliases.Count == 0 ? null : string.Join(',', aliases.Select(alias => $"{alias.Name}={string.Join(',', alias.Models)}"));

    // Flags are joined by commas, as the models of one alias are: what has no "=" belongs to the alias before it.
    private static bool TryReadAliases(string text, out IReadOnlyList<ModelAlias> aliases)
    {
        var read = new List<(string Name, List<string> Models)>();
        aliases = [];
        foreach (var part in text.Split(',', StringSplitOptions.TrimEntries))
        {
            var equals = part.IndexOf('=', StringComparison.Ordinal);
            if (equals == 0 || (equals < 0 && read.Count == 0))
                return false;
            if (equals > 0)
                read.Add((part[..equals], []));
            var model = part[(equals + 1)..];
            if (model.Length == 0)
                return false;
            read[^1].Models.Add(model);
        }
        aliases = [.. read.Select(alias => new ModelAlias(alias.Name, alias.Models))];
        return true;
    }
}
