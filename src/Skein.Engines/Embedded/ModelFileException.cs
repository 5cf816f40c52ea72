using System.Globalization;

namespace Skein.Engines.Embedded;

/// <summary>A model file cannot be used. The message is one line: file, key, its value, what is allowed.</summary>
public sealed class ModelFileException : EngineStartException
{
    private const int ShownCharacters = 80;

    /// <summary>Creates the exception.</summary>
    /// <param name="file">Path of the file.</param>
    /// <param name="key">What is wrong: a metadata key, a tensor, a part of the file.</param>
    /// <param name="value">Its value; shown shortened and without control characters.</param>
    /// <param name="allowed">What it may be.</param>
    /// <param name="innerException">The cause, if any.</param>
    public ModelFileException(string file, string key, object? value, string allowed, Exception? innerException = null)
        : base($"{file}: {Printable(key)} is {Printable(value)}; allowed: {allowed}", innerException)
    {
        File = file;
        Key = key;
    }

    /// <summary>Path of the file.</summary>
    public string File { get; }

    /// <summary>What is wrong.</summary>
    public string Key { get; }

    private static string Printable(object? value)
    {
        var text = Convert.ToString(value, CultureInfo.InvariantCulture) ?? "";
        var shown = text.Length <= ShownCharacters ? text : text[..ShownCharacters] + "…";
        return string.Create(shown.Length, shown, static (target, source) =>
        {
            for (var i = 0; i < target.Length; i++)
            {
                target[i] = char.IsControl(source[i]) || char.IsSurrogate(source[i]) ? '\uFFFD' : source[i];
            }
        });
    }
}
