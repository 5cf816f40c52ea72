using System.Security.Cryptography;
using System.Text;
using Skein.Engines.OpenAiCompatible;
using Skein.Gateway.Upstreams;

namespace Skein.Cli.Upstreams;

/// <summary>An upstream as it is configured.</summary>
/// <param name="Digest">Equal for equal options, so that a changed file leaves upstreams alone that did not change. Contains no secret.</param>
internal sealed record ConfiguredUpstream(UpstreamOptions Options, string Digest)
{
    private const int MaxNameLength = 128;

    /// <param name="name">Its name in the fleet and for clients; null: the host and port, which clients are not told.</param>
    public static ConfiguredUpstream Of(OpenAiEngineOptions server, TimeSpan engineTimeout, string? name = null, double weight = 1) => new(
        new UpstreamOptions
        {
            Name = name ?? NameOf(server.BaseUrl),
            Label = name,
            ConnectAsync = cancellationToken => OpenAiEngineFactory.ConnectAsync(server, TimeProvider.System, createHandler: null, cancellationToken),
            Url = server.BaseUrl,
            Models = server.Model is { } model ? [model, .. server.Aliases] : [],
            Weight = weight,
            Slots = server.Slots,
            EngineTimeout = engineTimeout,
        },
        DigestOf(server, engineTimeout, name, weight));

    /// <summary>Host and port, in ASCII and cut to the longest name that the fleet takes.</summary>
    public static string NameOf(Uri url)
    {
        var name = $"{url.IdnHost}:{url.Port}";
        return name.Length > MaxNameLength ? name[^MaxNameLength..] : name;
    }

    private static string DigestOf(OpenAiEngineOptions server, TimeSpan engineTimeout, string? name, double weight)
    {
        var sorted = server with { TrustedRoots = null, Headers = new SortedDictionary<string, string>(server.Headers.ToDictionary(), StringComparer.Ordinal) };
        var text = JsonSerializer.Serialize(new { sorted, engineTimeout, name, weight, roots = server.TrustedRoots?.Select(root => root.Thumbprint) });
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
    }
}
