using System.Text.RegularExpressions;

namespace Skein.Gateway.Api.Http;

/// <summary>
/// The paths of the APIs, and how clients with a slightly wrong base URL write them: without <c>/v1</c>, with <c>/v1</c> twice, with <c>//</c> or a slash at
/// the end. Filled while endpoints are mapped; then read by any thread.
/// </summary>
internal sealed partial class ApiPaths
{
    private const string Version = "/v1";

    private readonly HashSet<string> _exact = new(StringComparer.Ordinal);
    private readonly List<string> _prefixes = [];
    private readonly List<(string Pattern, IReadOnlyList<string> Methods)> _all = [];

    /// <summary>Patterns and methods, in the order in which they were mapped.</summary>
    public IReadOnlyList<(string Pattern, IReadOnlyList<string> Methods)> All => _all;

    /// <summary>The patterns, for error messages.</summary>
    public string Allowed { get; private set; } = "";

    /// <param name="pattern">A path whose last segment may be a parameter for the rest of the path.</param>
    public void Add(string pattern, IReadOnlyList<string> methods)
    {
        var parameter = pattern.IndexOf('{', StringComparison.Ordinal);
        if (parameter < 0)
            _exact.Add(pattern);
        else
            _prefixes.Add(pattern[..parameter]);
        _all.Add((pattern.Replace("{**", "{", StringComparison.Ordinal), methods));
        Allowed = string.Join(", ", _all.Select(path => path.Pattern));
    }

    /// <summary>The path that a client means; the same one if it is not a path of an API in another form.</summary>
    public string Resolve(string path)
    {
        if (IsKnown(path))
            return path;
        var plain = Slashes().Replace(path, "/");
        if (plain.Length > 1)
            plain = plain.TrimEnd('/');
        if (plain.StartsWith($"{Version}{Version}/", StringComparison.Ordinal))
            plain = plain[Version.Length..];
        return IsKnown(plain) ? plain : IsKnown(Version + plain) ? Version + plain : path;
    }

    private bool IsKnown(string path) => _exact.Contains(path)
        || _prefixes.Exists(prefix => path.Length > prefix.Length && path[^1] != '/' && path.StartsWith(prefix, StringComparison.Ordinal)
            && !path.Contains("//", StringComparison.Ordinal));

    [GeneratedRegex("/{2,}", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Slashes();
}
