using System.Buffers.Text;

namespace Skein.Protocol;

/// <summary>
/// Finds escapes that are half of a surrogate pair. They are valid JSON, but no text: .NET's readers take them and fail only when the string is read.
/// </summary>
public static class SurrogateEscapes
{
    /// <summary>The end of a sentence that refuses one.</summary>
    public const string Problem = "holds half of a surrogate pair; allowed: whole Unicode characters";

    private const int EscapeBytes = 6; // \uXXXX

    /// <summary>Whether the JSON may have such an escape at all: nearly none has.</summary>
    public static bool MayHold(ReadOnlySpan<byte> json) => json.IndexOf("\\ud"u8) >= 0 || json.IndexOf("\\uD"u8) >= 0;

    /// <summary>Whether a string or a name in valid JSON holds half of a pair.</summary>
    public static bool HoldHalf(ReadOnlySpan<byte> json)
    {
        if (!MayHold(json))
            return false;
        for (var next = json.IndexOf((byte)'\\'); next >= 0; next = json.IndexOf((byte)'\\'))
        {
            json = json[next..];
            var unit = UnitOf(json);
            if (char.IsLowSurrogate(unit) || (char.IsHighSurrogate(unit) && !char.IsLowSurrogate(UnitOf(json[EscapeBytes..]))))
                return true;
            json = json[(char.IsHighSurrogate(unit) ? 2 * EscapeBytes : Math.Min(2, json.Length))..];
        }

        return false;
    }

    // The UTF-16 unit that an escape stands for; '\0' if these bytes do not begin with one.
    private static char UnitOf(ReadOnlySpan<byte> json) =>
        json.StartsWith("\\u"u8) && json.Length >= EscapeBytes && Utf8Parser.TryParse(json[2..EscapeBytes], out ushort unit, out var read, 'x') && read == 4
            ? (char)unit
            : '\0';
}
