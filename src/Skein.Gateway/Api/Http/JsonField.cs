using System.Text;
using System.Text.Json;
using Google.Protobuf;

namespace Skein.Gateway.Api.Http;

/// <summary>
/// Reads one value of an expected type, or refuses the request. Every method starts at the first token of the value and ends at its last.
/// </summary>
internal static class JsonField
{
    private const int MostShown = 40;

    /// <summary>Reads a number in single precision. The rounded value must be in the range, too.</summary>
    public static float Number(ref Utf8JsonReader reader, string field, NumberRange allowed)
    {
        if (reader.TokenType != JsonTokenType.Number || !reader.TryGetDouble(out var value))
            throw RequestRefusedException.NotA(field, Describe(ref reader), "a number", allowed.ToString());
        return allowed.Contains(value) && allowed.Contains((float)value)
            ? (float)value
            : throw RequestRefusedException.OutOfRange(field, Describe(ref reader), allowed.ToString());
    }

    public static uint Whole(ref Utf8JsonReader reader, string field, NumberRange allowed)
    {
        if (reader.TokenType != JsonTokenType.Number)
            throw RequestRefusedException.NotA(field, Describe(ref reader), "a whole number", allowed.ToString());
        if (reader.TryGetInt64(out var value))
        {
            return allowed.Contains(value)
                ? (uint)value
                : throw RequestRefusedException.OutOfRange(field, Describe(ref reader), allowed.ToString());
        }

        throw reader.ValueSpan.ContainsAny((byte)'.', (byte)'e', (byte)'E')
            ? RequestRefusedException.NotA(field, Describe(ref reader), "a whole number", allowed.ToString())
            : RequestRefusedException.OutOfRange(field, Describe(ref reader), allowed.ToString());
    }

    /// <summary>Reads any signed or unsigned whole number of 64 bits as its bits, such as a seed.</summary>
    public static ulong Bits(ref Utf8JsonReader reader, string field)
    {
        const string Allowed = "-9223372036854775808 to 18446744073709551615";
        if (reader.TokenType == JsonTokenType.Number)
        {
            if (reader.TryGetUInt64(out var value))
                return value;
            if (reader.TryGetInt64(out var negative))
                return unchecked((ulong)negative);
        }

        throw RequestRefusedException.NotA(field, Describe(ref reader), "a whole number of 64 bits", Allowed);
    }

    public static bool Flag(ref Utf8JsonReader reader, string field) => reader.TokenType switch
    {
        JsonTokenType.True => true,
        JsonTokenType.False => false,
        _ => throw RequestRefusedException.NotA(field, Describe(ref reader), "a boolean", "true or false"),
    };

    /// <summary>Reads a string. The bounds are bytes of UTF-8.</summary>
    public static string Text(ref Utf8JsonReader reader, string field, int minBytes, int maxBytes)
    {
        var allowed = maxBytes == int.MaxValue ? "a string" : $"a string of {minBytes} to {maxBytes} bytes";
        if (reader.TokenType != JsonTokenType.String)
            throw RequestRefusedException.NotA(field, Describe(ref reader), "a string", allowed);
        string text;
        try
        {
            text = reader.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            throw RequestRefusedException.Json(field, "holds half of a surrogate pair; allowed: whole Unicode characters", e);
        }

        var bytes = Encoding.UTF8.GetByteCount(text);
        return bytes >= minBytes && bytes <= maxBytes
            ? text
            : throw RequestRefusedException.Invalid(field, FormattableString.Invariant($"{Describe(ref reader)} has {bytes} bytes; allowed: {allowed}"));
    }

    /// <summary>
    /// Compares a name or a string. One with escapes never matches: the names compared are ASCII, and the reader throws on half a surrogate pair.
    /// </summary>
    public static bool TextEquals(ref Utf8JsonReader reader, ReadOnlySpan<byte> text) => !reader.ValueIsEscaped && reader.ValueSpan.SequenceEqual(text);

    /// <summary>Returns the bytes of the value without copying them: they reference the body.</summary>
    public static ByteString Verbatim(ref Utf8JsonReader reader, ReadOnlyMemory<byte> body)
    {
        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        return UnsafeByteOperations.UnsafeWrap(body[start..(int)reader.BytesConsumed]);
    }

    /// <summary>The value as an error shows it: short, and never more than its beginning.</summary>
    public static string Describe(ref Utf8JsonReader reader) => JsonExcerpt.Of(ref reader);
}
