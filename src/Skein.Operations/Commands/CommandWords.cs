using System.Text;

namespace Skein.Operations.Commands;

/// <summary>Splits an operator's command into words. It is run without a shell.</summary>
/// <remarks>
/// Whitespace separates words; '…' is literal; "…" groups; outside '…' a backslash escapes the next character. Nothing else is special: a pipe or a
/// variable needs <c>sh -c '…'</c>. System.CommandLine's splitter is not used because it does not know single quotes.
/// </remarks>
internal static class CommandWords
{
    /// <param name="flag">Flag that holds the command; used in messages.</param>
    /// <exception cref="UsageException">A quote is not closed.</exception>
    public static List<string> Split(string flag, string text)
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
