using Skein.Operations.Commands;

namespace Skein.Operations.Rollout;

/// <summary>
/// An operator's command with the placeholders <c>{name}</c> and <c>{revision}</c>. It is split into words here and run without a shell, so that
/// a value stays within its word. Immutable.
/// </summary>
/// <remarks>
/// Names that a shell could read as more than a name are rejected: only letters, digits and . _ - are allowed, and no leading hyphen.
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
        var words = CommandWords.Split(flag, text);
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
}
