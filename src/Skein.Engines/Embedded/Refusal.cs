using System.Globalization;

namespace Skein.Engines.Embedded;

/// <summary>Refusals of requests, in one form: field, value, what is allowed.</summary>
internal static class Refusal
{
    private const int ShownCharacters = 80;

    public static EngineException Field(string field, object value, string allowed)
    {
        var text = Convert.ToString(value, CultureInfo.InvariantCulture) ?? "";
        var shown = text.Length <= ShownCharacters ? text : text[..ShownCharacters] + "…";
        return new EngineException(EngineError.InvalidRequest, $"{field} is {shown}; allowed: {allowed}");
    }

    public static EngineException Resume(string reason) => new(EngineError.ResumeRefused, reason);

    public static EngineException Context(int contextTokens, string asked) =>
        new(EngineError.ContextLengthExceeded, $"the model's context holds {contextTokens} tokens; asked for: {asked}");
}
