using Google.Protobuf;
using Google.Protobuf.Collections;

namespace Skein.Gateway.Api.Http;

/// <summary>Reads one value of an expected type, or refuses the request. Starts at the first token of the value and ends at its last.</summary>
internal static class JsonField
{
    /// <summary>Reads a number in single precision. The rounded value must be in the range, too.</summary>
    public static float Number(ref Utf8JsonReader reader, string field, NumberRange allowed)
    {
        if (reader.TokenType != JsonTokenType.Number || !reader.TryGetDouble(out var value))
            throw RequestRefusedException.NotA(field, JsonExcerpt.Of(ref reader), "a number", allowed.ToString());
        return allowed.Contains(value) && allowed.Contains((float)value)
            ? (float)value
            : throw RequestRefusedException.OutOfRange(field, JsonExcerpt.Of(ref reader), allowed.ToString());
    }

    /// <summary>Reads any number that single precision can hold: whether it is in the usual range is the engine's to judge.</summary>
    /// <param name="usual">The range for messages.</param>
    public static float AnyNumber(ref Utf8JsonReader reader, string field, NumberRange usual)
    {
        if (reader.TokenType != JsonTokenType.Number || !reader.TryGetDouble(out var value))
            throw RequestRefusedException.NotA(field, JsonExcerpt.Of(ref reader), "a number", usual.ToString());
        return float.IsFinite((float)value) ? (float)value : throw RequestRefusedException.OutOfRange(field, JsonExcerpt.Of(ref reader), usual.ToString());
    }

    public static uint Whole(ref Utf8JsonReader reader, string field, NumberRange allowed)
    {
        var isNumber = reader.TokenType == JsonTokenType.Number;
        if (isNumber && reader.TryGetInt64(out var value) && allowed.Contains(value))
            return (uint)value;
        throw isNumber && !reader.ValueSpan.ContainsAny((byte)'.', (byte)'e', (byte)'E')
            ? RequestRefusedException.OutOfRange(field, JsonExcerpt.Of(ref reader), allowed.ToString())
            : RequestRefusedException.NotA(field, JsonExcerpt.Of(ref reader), "a whole number", allowed.ToString());
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

        throw RequestRefusedException.NotA(field, JsonExcerpt.Of(ref reader), "a whole number of 64 bits", Allowed);
    }

    public static bool Flag(ref Utf8JsonReader reader, string field) => reader.TokenType switch
    {
        JsonTokenType.True => true,
        JsonTokenType.False => false,
        _ => throw RequestRefusedException.NotA(field, JsonExcerpt.Of(ref reader), "a boolean", "true or false"),
    };

    /// <summary>Reads a string. The bounds are bytes of UTF-8.</summary>
    public static string Text(ref Utf8JsonReader reader, string field, int minBytes, int maxBytes)
    {
        var allowed = maxBytes == int.MaxValue ? "a string" : $"a string of {minBytes} to {maxBytes} bytes";
        if (reader.TokenType != JsonTokenType.String)
            throw RequestRefusedException.NotA(field, JsonExcerpt.Of(ref reader), "a string", allowed);
        string text;
        try
        {
            text = reader.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            throw JsonBody.HalfSurrogate(field, e);
        }

        var bytes = Encoding.UTF8.GetByteCount(text);
        return bytes >= minBytes && bytes <= maxBytes
            ? text
            : throw RequestRefusedException.Invalid(field, FormattableString.Invariant($"{JsonExcerpt.Of(ref reader)} has {bytes} bytes; allowed: {allowed}"));
    }

    /// <summary>Returns the bytes of the value without copying them: they reference the body.</summary>
    public static ByteString Verbatim(ref Utf8JsonReader reader, ReadOnlyMemory<byte> body)
    {
        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        return UnsafeByteOperations.UnsafeWrap(body[start..(int)reader.BytesConsumed]);
    }

    /// <summary>Keeps a member that is the engine's to read.</summary>
    /// <exception cref="RequestRefusedException">There are too many of them.</exception>
    public static void Keep(ref Utf8JsonReader reader, string name, ReadOnlyMemory<byte> body, RepeatedField<RawMember> others)
    {
        if (others.Count == RequestLimits.ExtraMembers)
            throw RequestRefusedException.Invalid(name, $"is one unknown member too many; allowed: up to {RequestLimits.ExtraMembers}");
        others.Add(new RawMember { Name = name, Json = Verbatim(ref reader, body) });
    }

    /// <summary>Reads an array of chat messages. Their texts and unknown members are not checked.</summary>
    public static void Chat(ref Utf8JsonReader reader)
    {
        try
        {
            ChatJson.Check(ref reader);
        }
        catch (ChatJsonException e)
        {
            var code = e.Problem switch
            {
                ChatJsonProblem.WrongType => RequestRefusedException.InvalidType,
                ChatJsonProblem.Missing => RequestRefusedException.MissingParameter,
                _ => RequestRefusedException.InvalidValue,
            };
            throw new RequestRefusedException(400, code, e.Field, e.Message, e);
        }
    }
}
