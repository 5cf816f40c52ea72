using System.Net;
using System.Text.RegularExpressions;

namespace Skein.Engines.OpenAiCompatible.Wire;

/// <summary>Removes a server's address from texts that a client sees. Logs keep it. Thread-safe.</summary>
internal sealed partial class EngineAddress
{
    private const string Neutral = "the engine";

    private readonly string _name;
    private readonly string[] _forms;

    /// <param name="name">The server's name in messages, which contains its address.</param>
    /// <param name="url">The server's address.</param>
    public EngineAddress(string name, Uri url)
    {
        _name = name;
        // A host name without a dot may be a word of the message.
        var isTelling = url.Host.Contains('.', StringComparison.Ordinal) || IPAddress.TryParse(url.Host, out _);
        string[] forms = [$" ({url.Authority})", $" ({url.Host}:{url.Port})", url.ToString().TrimEnd('/'), $"{url.Host}:{url.Port}"];
        _forms = isTelling ? [.. forms, url.Host] : forms;
    }

    /// <summary>The fault as a client may see it. The original one is its cause, for the log.</summary>
    public FaultException Without(FaultException exception, Fault fault) => new(fault, Without(exception.Message), exception)
    {
        Cause = exception.Cause,
        Engine = exception.Engine is { } error
            ? error with { Message = Without(error.Message), Param = error.Param is { } param ? Without(param) : null }
            : null,
    };

    private string Without(string text)
    {
        var clean = text.Replace(_name, Neutral, StringComparison.Ordinal);
        foreach (var form in _forms)
            clean = clean.Replace(form, form[0] == ' ' ? "" : Neutral, StringComparison.OrdinalIgnoreCase);

        // A name is resolved to addresses, which messages about connections contain.
        return NumericAddress().Replace(clean, Neutral);
    }

    [GeneratedRegex(@"\b\d{1,3}(?:\.\d{1,3}){3}:\d{1,5}\b|\[[0-9a-fA-F:.]{2,45}\]:\d{1,5}\b", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex NumericAddress();
}
