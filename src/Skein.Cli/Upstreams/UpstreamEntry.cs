using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Skein.Engines.OpenAiCompatible;

namespace Skein.Cli.Upstreams;

/// <summary>One object of <c>upstreams</c> in the configuration file. Its errors name the member, such as <c>upstreams[1].slots</c>.</summary>
internal sealed class UpstreamEntry
{
    public const string Headers = "headers";

    /// <summary>The members of an object, each with what it is for and its JSON schema.</summary>
    public static IReadOnlyList<(string Name, string Description, string Schema)> Documented { get; } =
    [
        ("url", "Address of the server; required", """{"type": "string", "pattern": "^https?://"}"""),
        ("name", "Name in the fleet, unique; clients see it in errors [default: host:port, and clients see upstream-1]",
            """{"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"}"""),
        ("model", "The one model to serve [default: model]", """{"type": "string", "minLength": 1}"""),
        ("aliases", "Further names of that model; the server receives its own name",
            """{"type": "array", "maxItems": 32, "items": {"type": "string", "minLength": 1, "maxLength": 256}}"""),
        ("keyFile", "File with the API key of the server [default: engineKeyFile]", """{"type": "string", "minLength": 1}"""),
        ("ca", "PEM file with the authorities that may have issued the server's certificate [default: the system's]", """{"type": "string", "minLength": 1}"""),
        (Headers, "Further headers of every call", """{"type": "object", "additionalProperties": {"type": "string"}}"""),
        ("slots", "Concurrent generations [default: upstreamSlots]", """{"type": "integer", "minimum": 1, "maximum": 10000}"""),
        ("weight", "Share of work relative to others [default: 1]", """{"type": "number", "minimum": 0.001, "maximum": 1000}"""),
        ("fingerprint", "Declares servers with the same text interchangeable [default: engineFingerprint]",
            """{"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[ -~]+$"}"""),
        ("kind", "Server type [default: engineKind]", $$"""{"enum": [{{string.Join(", ", OpenAiEngineOptions.Kinds.Select(kind => $"\"{kind}\""))}}]}"""),
    ];

    private static readonly string[] Members = [.. Documented.Select(member => member.Name)];

    /// <summary>Headers that belong to the connection or are set by the gateway.</summary>
    private static readonly string[] OwnHeaders =
        ["connection", "content-length", "content-type", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

    private readonly JsonElement _entry;
    private readonly string _at;
    private readonly string _path;

    private UpstreamEntry(JsonElement entry, string at, string path) => (_entry, _at, _path) = (entry, at, path);

    public Uri Url => Required("url", "an http:// or https:// address without user name, query and fragment", ReadUrl);

    /// <summary>Name in the fleet, in reports and for clients; null: the host and port, which clients are not told.</summary>
    public string? Name => Optional(
        "name", "1 to 128 printable ASCII characters without blanks", value => TextIn(value) is { } text && IsName(text) ? text : null);

    public double Weight => Optional(
        "weight", "a number from 0.001 to 1000",
        value => value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var weight) && weight is >= 0.001 and <= 1000 ? (double?)weight : null) ?? 1;

    /// <summary>Reads a list.</summary>
    /// <exception cref="UsageException">An item is not an object, or has an unknown member.</exception>
    public static IEnumerable<UpstreamEntry> Read(JsonElement list, string path)
    {
        var index = 0;
        foreach (var item in list.EnumerateArray())
        {
            var at = $"upstreams[{index++}]";
            if (item.ValueKind != JsonValueKind.Object)
                throw new UsageException($"'{at}' in {path} is {item.GetRawText()}; allowed: an object");
            List<string> names = [.. item.EnumerateObject().Select(member => member.Name)];
            if (names.Except(Members, StringComparer.Ordinal).FirstOrDefault() is { } unknown)
                throw new UsageException($"'{at}.{unknown}' in {path} is not a setting; allowed: {string.Join(", ", Members)}");
            if (names.GroupBy(name => name, StringComparer.Ordinal).FirstOrDefault(group => group.Count() > 1) is { } twice)
                throw new UsageException($"'{at}.{twice.Key}' in {path} is there twice; allowed: once");
            yield return new UpstreamEntry(item, at, path);
        }
    }

    public UsageException Error(string member, string message) => new($"'{_at}.{member}' in {_path} {message}");

    /// <summary>Its options: those of the flags, with what the object says itself.</summary>
    /// <exception cref="UsageException">A member is not allowed.</exception>
    public OpenAiEngineOptions ToOptions(OpenAiEngineOptions common) => common with
    {
        BaseUrl = Url,
        Model = Optional("model", "a model's name", NonEmpty) ?? common.Model,
        Aliases = Optional("aliases", "a list of up to 32 names of 1 to 256 characters", ReadAliases) ?? [],
        ApiKey = Optional("keyFile", "the path of a file", NonEmpty) is { } file ? ReadFile("keyFile", file).Trim() : common.ApiKey,
        TrustedRoots = Optional("ca", "the path of a PEM file", NonEmpty) is { } ca ? ReadCertificates(ca) : common.TrustedRoots,
        Headers = Optional("headers", $"an object of texts, without {string.Join(", ", OwnHeaders)}", ReadHeaders) ?? common.Headers,
        Slots = Optional(
            "slots", "a whole number from 1 to 10000",
            value => value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var slots) && slots is >= 1 and <= 10_000 ? (int?)slots : null)
            ?? common.Slots,
        Fingerprint = Optional(
            "fingerprint", $"1 to {OpenAiEngineOptions.MaxFingerprintCharacters} printable ASCII characters",
            value => TextIn(value) is { } text && OpenAiEngineOptions.IsFingerprint(text) ? text : null) ?? common.Fingerprint,
        Kind = Optional(
            "kind", string.Join(", ", OpenAiEngineOptions.Kinds),
            value => TextIn(value) is { } kind && OpenAiEngineOptions.Kinds.Contains(kind) ? kind : null) ?? common.Kind,
    };

    public static Uri? ReadUrl(JsonElement value) => TextIn(value) is { } text ? ReadUrl(text) : null;

    public static Uri? ReadUrl(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var url) && url is { Scheme: "http" or "https", UserInfo: "", Query: "", Fragment: "" } ? url : null;

    private static string? TextIn(JsonElement value) => value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static string? NonEmpty(JsonElement value) => TextIn(value) is { Length: > 0 } text ? text : null;

    private static bool IsName(string name) => name.Length is > 0 and <= 128 && !name.AsSpan().ContainsAnyExceptInRange('!', '~');

    private static List<string>? ReadAliases(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() > 32)
            return null;
        List<string> aliases = [.. value.EnumerateArray().Select(TextIn).OfType<string>().Where(alias => alias.Length is > 0 and <= 256)];
        return aliases.Count == value.GetArrayLength() ? aliases : null;
    }

    private static Dictionary<string, string>? ReadHeaders(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Object)
            return null;
        var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (var header in value.EnumerateObject())
        {
            if (TextIn(header.Value) is not { } text || !IsHeader(header.Name, text) || !headers.TryAdd(header.Name, text))
                return null;
        }
        return headers;
    }

    private static bool IsHeader(string name, string value) =>
        name.Length > 0 && name.All(character => char.IsAsciiLetterOrDigit(character) || "!#$%&'*+-.^_`|~".Contains(character, StringComparison.Ordinal))
        && !OwnHeaders.Contains(name, StringComparer.OrdinalIgnoreCase) && value.All(character => character is >= ' ' and <= '~');

    private string ReadFile(string member, string file)
    {
        try
        {
            return File.ReadAllText(file);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw Error(member, $"is '{file}', which cannot be read: {error.Message}");
        }
    }

    private X509Certificate2Collection ReadCertificates(string file)
    {
        var certificates = new X509Certificate2Collection();
        try
        {
            certificates.ImportFromPem(ReadFile("ca", file));
        }
        catch (CryptographicException error)
        {
            throw Error("ca", $"is '{file}', which is not a PEM file: {error.Message}");
        }
        return certificates.Count > 0 ? certificates : throw Error("ca", $"is '{file}', which contains no certificate; allowed: a PEM file with at least one");
    }

    private T Required<T>(string member, string allowed, Func<JsonElement, T?> read)
        where T : class => Optional(member, allowed, read) ?? throw Error(member, $"is missing; allowed: {allowed}");

    private T? Optional<T>(string member, string allowed, Func<JsonElement, T?> read)
    {
        if (!_entry.TryGetProperty(member, out var value) || value.ValueKind == JsonValueKind.Null)
            return default;
        // Headers may be secrets: they are not shown.
        return read(value) ?? throw Error(member, $"is {(member == "headers" ? "not allowed" : value.GetRawText())}; allowed: {allowed}");
    }
}
