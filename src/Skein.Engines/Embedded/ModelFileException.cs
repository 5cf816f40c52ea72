using System.Globalization;

namespace Skein.Engines.Embedded;

/// <summary>A model file cannot be used. The message is one line: file, key, its value, what is allowed.</summary>
/// <param name="key">What is wrong: a metadata key, a tensor, a part of the file.</param>
/// <param name="value">Its value; shown shortened and without control characters.</param>
public sealed class ModelFileException(string file, string key, object? value, string allowed, Exception? innerException = null)
    : EngineStartException($"{file}: {Printable(key)} is {Printable(value)}; allowed: {allowed}", innerException)
{
    private const int ShownCharacters = 80;

    private static string Printable(object? value)
    {
        var text = Convert.ToString(value, CultureInfo.InvariantCulture) ?? "";
        var shown = text.Length <= ShownCharacters ? text : text[..ShownCharacters] + "…";
        return string.Concat(shown.Select(character => char.IsControl(character) || char.IsSurrogate(character) ? '\uFFFD' : character));
    }
}
