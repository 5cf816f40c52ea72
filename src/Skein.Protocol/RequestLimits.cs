namespace Skein.Protocol;

/// <summary>Limits of a request, the same for every API and engine. The wire contract (<c>inference.proto</c>) documents them.</summary>
public static class RequestLimits
{
    /// <summary>Deepest nesting of JSON.</summary>
    public const int JsonDepth = 64;

    /// <summary>Most bytes of a request id.</summary>
    public const int RequestIdBytes = 128;

    /// <summary>Most bytes of a model's name.</summary>
    public const int ModelBytes = 256;

    /// <summary>Most stop texts.</summary>
    public const int StopTexts = 16;

    /// <summary>Most bytes of one stop text in UTF-8; at least 1.</summary>
    public const int StopTextBytes = 1024;

    /// <summary>Most tokens with a bias.</summary>
    public const int LogitBiases = 1024;

    /// <summary>Most members that are passed on to the engine verbatim.</summary>
    public const int ExtraMembers = 128;

    /// <summary>Most characters of a member's name.</summary>
    public const int MemberNameChars = 256;

    /// <summary>The rule of <see cref="IsModel"/>, for error messages.</summary>
    public const string ModelAllowed = "1 to 256 bytes without control characters";

    /// <summary><c>n</c>.</summary>
    public static readonly NumberRange Choices = new(1, 16);

    /// <summary>Tokens of an answer.</summary>
    public static readonly NumberRange MaxTokens = new(0, int.MaxValue);

    /// <summary><c>temperature</c>; 0 is greedy.</summary>
    public static readonly NumberRange Temperature = new(0, 2);

    /// <summary><c>top_p</c>.</summary>
    public static readonly NumberRange TopP = new(0, 1);

    /// <summary><c>top_k</c>; 0 sets no limit.</summary>
    public static readonly NumberRange TopK = new(0, int.MaxValue);

    /// <summary><c>min_p</c>.</summary>
    public static readonly NumberRange MinP = new(0, 1);

    /// <summary><c>presence_penalty</c> and <c>frequency_penalty</c>.</summary>
    public static readonly NumberRange Penalty = new(-2, 2);

    /// <summary><c>repetition_penalty</c>.</summary>
    public static readonly NumberRange RepetitionPenalty = new(0, float.MaxValue, MinExcluded: true);

    /// <summary>The bias of one token.</summary>
    public static readonly NumberRange LogitBias = new(-100, 100);

    /// <summary><c>top_logprobs</c>.</summary>
    public static readonly NumberRange TopLogprobs = new(0, 20);

    /// <summary>Priority class of a request; lower is served first.</summary>
    public static readonly NumberRange Priority = new(-8, 8);

    /// <summary>Whether a model may have this name. Names appear in messages and logs, where a line break would start a forged line.</summary>
    public static bool IsModel(string name) => !name.Any(char.IsControl);
}
