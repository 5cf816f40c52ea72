using System.Globalization;
using Skein.Operations.Commands;

namespace Skein.Operations.Chaos;

/// <summary>
/// An operator's command for one model server, with the placeholders <c>{url}</c>, <c>{host}</c> and <c>{port}</c>. It is split into words here and run without
/// a shell. Immutable.
/// </summary>
public sealed class ServerCommand
{
    private readonly IReadOnlyList<string> _words;

    private ServerCommand(IReadOnlyList<string> words) => _words = words;

    /// <param name="flag">Flag that holds the command; used in messages.</param>
    /// <param name="needed">Placeholders, one of which must be there.</param>
    /// <exception cref="UsageException">A quote is not closed, or the command does not say which server.</exception>
    public static ServerCommand Parse(string flag, string text, params IReadOnlyList<string> needed)
    {
        var words = CommandWords.Split(flag, text);
        if (!words.Exists(word => needed.Any(placeholder => word.Contains(placeholder, StringComparison.Ordinal))))
            throw new UsageException($"{flag} '{text}' does not say which server; allowed: a command with {string.Join(" or ", needed)} in it");
        return new ServerCommand(words);
    }

    /// <summary>The program and its arguments for a server.</summary>
    public IReadOnlyList<string> For(Uri server) =>
    [
        .. _words.Select(word => word.Replace("{url}", server.ToString(), StringComparison.Ordinal)
            .Replace("{host}", server.Host, StringComparison.Ordinal)
            .Replace("{port}", server.Port.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)),
    ];
}
