using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace Skein.Protocol;

/// <summary>Shows JSON values in error messages.</summary>
public static class JsonExcerpt
{
    private const int MaxShownBytes = 40;

    /// <summary>The value that the reader is at: short, and never more than its beginning.</summary>
    public static string Of(ref Utf8JsonReader reader) => reader.TokenType switch
    {
        JsonTokenType.StartObject => "an object",
        JsonTokenType.StartArray => "an array",
        JsonTokenType.String or JsonTokenType.PropertyName => $"\"{Shorten(reader.ValueSpan)}\"",
        _ => Shorten(reader.ValueSpan),
    };

    /// <summary>The same of a value that was parsed.</summary>
    public static string Of(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.String => $"\"{Shorten(JsonMarshal.GetRawUtf8Value(value)[1..^1])}\"",
        _ => Shorten(JsonMarshal.GetRawUtf8Value(value)),
    };

    private static string Shorten(ReadOnlySpan<byte> value)
    {
        if (value.Length <= MaxShownBytes)
            return Encoding.UTF8.GetString(value);
        var end = MaxShownBytes;
        while ((value[end] & 0xC0) == 0x80)
            end--;
        return Encoding.UTF8.GetString(value[..end]) + "…";
    }
}
