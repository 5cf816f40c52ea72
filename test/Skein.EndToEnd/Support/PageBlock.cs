using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace Skein.EndToEnd.Support;

/// <summary>Commands of a page, with the hosts that run them: a code block that begins with <c>```sh HOST…</c>.</summary>
/// <param name="IsServer">Whether it runs until it is ended; its words are followed by <c>server</c>.</param>
internal sealed partial record PageBlock(IReadOnlyList<string> Hosts, bool IsServer, string Text)
{
    public static IReadOnlyList<PageBlock> Of(string page) =>
    [
        .. Blocks().Matches(page).Select(match =>
        {
            var words = match.Groups["words"].Value.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            return new PageBlock([.. words.Where(word => word != "server")], words.Contains("server"), match.Groups["text"].Value);
        }),
    ];

    /// <summary>A file of the repository.</summary>
    public static string Repository(string path) => Path.GetFullPath(Path.Combine(Here(), "..", "..", "..", path));

    /// <summary>The commands for one host. A line may say what another host has in its place: <c>host=a  # on b: host=b</c>.</summary>
    public string TextFor(string host) => ForHost().Replace(Text, line => line.Groups["host"].Value == host ? line.Groups["other"].Value : line.Groups["line"].Value);

    private static string Here([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;

    [GeneratedRegex(@"^```sh (?<words>[^\n]+)\n(?<text>.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline, matchTimeoutMilliseconds: 5_000)]
    private static partial Regex Blocks();

    [GeneratedRegex(@"^(?<line>.*?) +# on (?<host>[a-z-]+): (?<other>.*)$", RegexOptions.Multiline, matchTimeoutMilliseconds: 5_000)]
    private static partial Regex ForHost();
}
