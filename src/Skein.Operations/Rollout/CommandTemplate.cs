using System.Text;

namespace Skein.Operations.Rollout;

/// <summary>
/// An operator's command with the placeholders <c>{name}</c> and <c>{revision}</c>. It is split into words here and run without a shell, so that
/// a value stays within its word. Immutable.
/// </summary>
/// <remarks>
/// Whitespace separates words; '…' is literal; "…" groups; outside '…' a backslash escapes the next character. Nothing else is special: a pipe or a
/// variable needs <c>sh -c '…'</c>. Names that a shell could read as more than a name are rejected: only letters, digits and . _ - are allowed,
/// and no leading hyphen. System.CommandLine's splitter is not used because it does not know single quotes.
/// </remarks>
public sealed class CommandTemplate
{
    private readonly string _flag;
    private readonly IReadOnlyList<string> _words;

    private CommandTemplate(string flag, IReadOnlyList<string> words) => (_flag, _words) = (flag, words);

    /// <param name="flag">Flag that holds the command; used in messages.</param>
    /// <exception cref="UsageException">A quote is not closed, or <c>{name}</c> is missing.</exception>
    public static CommandTemplate Parse(string flag, string text)
    {
        var words = Split(flag, text);
        if (!words.Exists(word => word.Contains("{name}", StringComparison.Ordinal)))
            throw new UsageException($"{flag} '{text}' does not say which replica; allowed: a command with {{name}} in it");
        return new CommandTemplate(flag, words);
    }

    /// <exception cref="CommandFailedException">The name contains a character that is not allowed.</exception>
    public IReadOnlyList<string> For(string name, string revision)
    {
        if (name.StartsWith('-') || !name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '_' or '-'))
            throw new CommandFailedException($"'{name}' is not put into {_flag}; allowed: names of letters, digits and . _ -, the first not a hyphen");
        return [.. _words.Select(word => word.Replace("{name}", name, StringComparison.Ordinal).Replace("{revision}", revision, StringComparison.Ordinal))];
    }

    private static List<string> Split(string flag, string text)
    {
        var words = new List<string>();
        StringBuilder? word = null;
        var quote = '\0';
        for (var at = 0; at < text.Length; at++)
        {
            var letter = text[at];
            if (quote == '\0' && char.IsWhiteSpace(letter))
            {
                if (word is not null)
                    words.Add(word.ToString());
                word = null;
                continue;
            }
            word ??= new StringBuilder();
            if (letter == quote)
                quote = '\0';
            else if (quote == '\0' && letter is ('\'' or '"'))
                quote = letter;
            else if (letter == '\\' && quote != '\'' && at + 1 < text.Length)
                word.Append(text[++at]);
            else
                word.Append(letter);
        }
        if (quote != '\0')
            throw new UsageException($"{flag} '{text}' has an open quote ({quote}); allowed: quotes in pairs");
        if (word is not null)
            words.Add(word.ToString());
        return words;
    }
}
