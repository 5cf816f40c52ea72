namespace Skein.Gateway.Api;

/// <summary>What a request may ask for, the same through every API. The wire contract (<c>inference.proto</c>) documents them.</summary>
internal static class RequestLimits
{
    public const int JsonDepth = 64;
    public const int RequestIdBytes = 128;
    public const int ModelBytes = 256;
    public const int StopTexts = 16;
    public const int StopTextBytes = 1024;
    public const int LogitBiases = 1024;
    public const int ExtraMembers = 128;
    public const int MemberNameChars = 256;

    public const string ModelAllowed = "1 to 256 bytes without control characters";

    /// <summary>A name of a model stands in messages and logs, where a line break would begin a line that nobody wrote.</summary>
    public static bool IsModel(string name) => !name.Any(char.IsControl);

    public static readonly NumberRange Choices = new(1, 16);
    public static readonly NumberRange MaxTokens = new(0, int.MaxValue);
    public static readonly NumberRange Temperature = new(0, 2);
    public static readonly NumberRange TopP = new(0, 1, MinExcluded: true);
    public static readonly NumberRange TopK = new(0, int.MaxValue);
    public static readonly NumberRange MinP = new(0, 1);
    public static readonly NumberRange Penalty = new(-2, 2);
    public static readonly NumberRange RepetitionPenalty = new(0, float.MaxValue, MinExcluded: true);
    public static readonly NumberRange LogitBias = new(-100, 100);
    public static readonly NumberRange TopLogprobs = new(0, 20);
    public static readonly NumberRange Priority = new(-8, 8);
}
