using System.Globalization;
using Skein.Protocol;

namespace Skein.Engines.Embedded;

/// <summary>Refusals of requests, in one form: field, value, what is allowed.</summary>
internal static class Refusal
{
    private const int ShownCharacters = 80;

    public static FaultException Field(string field, object value, string allowed)
    {
        var text = Convert.ToString(value, CultureInfo.InvariantCulture) ?? "";
        var shown = text.Length <= ShownCharacters ? text : text[..ShownCharacters] + "…";
        return new FaultException(Fault.InvalidRequest, $"{field} is {shown}; allowed: {allowed}");
    }

    public static FaultException Resume(string reason) => new(Fault.ResumeRefused, reason);

    public static FaultException Context(int contextTokens, string asked) =>
        new(Fault.ContextLengthExceeded, $"the model's context holds {contextTokens} tokens; asked for: {asked}");
}
