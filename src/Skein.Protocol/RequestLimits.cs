using System.Globalization;

namespace Skein.Protocol;

/// <summary>Limits of a request, the same for every API and engine. The wire contract (<c>inference.proto</c>) documents them.</summary>
public static class RequestLimits
{
    /// <summary>Deepest nesting of JSON.</summary>
    public const int JsonDepth = 128;

    public const int RequestIdBytes = 128;

    public const int ModelBytes = 256;

    public const int StopTexts = 16;

    /// <summary>Most prompts of one request, and most choices of all of them together.</summary>
    public const int Prompts = 128;

    /// <summary>Most bytes of one stop text in UTF-8; at least 1.</summary>
    public const int StopTextBytes = 1024;

    public const int LogitBiases = 1024;

    /// <summary>Most members that are passed on to the engine verbatim.</summary>
    public const int ExtraMembers = 128;

    public const int MemberNameChars = 256;

    /// <summary>The rule of <see cref="IsModel"/>, for error messages.</summary>
    public const string ModelAllowed = "1 to 256 bytes without control characters";

    public static readonly NumberRange Choices = new(1, 16);

    public static readonly NumberRange MaxTokens = new(0, int.MaxValue);

    /// <summary><c>temperature</c>; 0 is greedy.</summary>
    public static readonly NumberRange Temperature = new(0, 2);

    public static readonly NumberRange TopP = new(0, 1);

    /// <summary><c>top_k</c>; 0 sets no limit.</summary>
    public static readonly NumberRange TopK = new(0, int.MaxValue);

    public static readonly NumberRange MinP = new(0, 1);

    /// <summary><c>presence_penalty</c> and <c>frequency_penalty</c>.</summary>
    public static readonly NumberRange Penalty = new(-2, 2);

    public static readonly NumberRange RepetitionPenalty = new(0, float.MaxValue, MinExcluded: true);

    /// <summary>The bias of one token.</summary>
    public static readonly NumberRange LogitBias = new(-100, 100);

    public static readonly NumberRange TopLogprobs = new(0, 20);

    /// <summary>Priority class of a request; lower is served first.</summary>
    public static readonly NumberRange Priority = new(-8, 8);

    /// <summary>Time that a client allows for an answer, in milliseconds.</summary>
    public static readonly NumberRange DeadlineMs = new(1, 86_400_000);

    /// <summary>Whether a model may have this name. Names appear in messages and logs, where a line break would start a forged line.</summary>
    public static bool IsModel(string name) => !name.Any(char.IsControl);
}

/// <summary>An allowed range of numbers. NaN is outside every range.</summary>
public readonly record struct NumberRange(double Min, double Max, bool MinExcluded = false)
{
    public bool Contains(double value) => (MinExcluded ? value > Min : value >= Min) && value <= Max;

    /// <summary>The range as error messages show it.</summary>
    public override string ToString()
    {
        var min = Min.ToString("0.######", CultureInfo.InvariantCulture);
        var max = Max.ToString("0.######", CultureInfo.InvariantCulture);
        return (MinExcluded, Max) switch
        {
            (true, float.MaxValue) => $"above {min}, to 3.4e38",
            (true, _) => $"above {min}, to {max}",
            _ => $"{min} to {max}",
        };
    }
}
