using System.Runtime.InteropServices;
using Google.Protobuf;

namespace Skein.Gateway.Api.Http;

/// <summary>A value inside a request body. Reads values of an expected type, or refuses the request.</summary>
/// <param name="Path">Where it is in the body, for error messages.</param>
internal readonly record struct JsonPart(JsonElement Value, string Path)
{
    /// <summary>The JSON as the client wrote it.</summary>
    public ReadOnlySpan<byte> Raw => JsonMarshal.GetRawUtf8Value(Value);

    /// <summary>Reads the value that the reader is at, to its last token.</summary>
    public static JsonPart Read(ref Utf8JsonReader reader, string path) => new(JsonElement.ParseValue(ref reader), path);

    public JsonPart AsObject(string allowed) => Value.ValueKind == JsonValueKind.Object ? this : throw NotA("an object", allowed);

    /// <summary>The elements of an array.</summary>
    public IEnumerable<JsonPart> Elements(string allowed)
    {
        if (Value.ValueKind != JsonValueKind.Array)
            throw NotA("an array", allowed);
        var path = Path;
        return Value.EnumerateArray().Select((element, index) => new JsonPart(element, string.Create(CultureInfo.InvariantCulture, $"{path}[{index}]")));
    }

    /// <summary>The members of an object.</summary>
    public IReadOnlyList<JsonPart> Members()
    {
        var path = Path;
        try
        {
            return [.. Value.EnumerateObject().Select(member => new JsonPart(member.Value, $"{path}.{member.Name}"))];
        }
        catch (InvalidOperationException e)
        {
            throw HalfSurrogate(e);
        }
    }

    /// <summary>A member of an object; null if it is absent or null.</summary>
    public JsonPart? Find(string name)
    {
        try
        {
            return Value.TryGetProperty(name, out var member) && member.ValueKind != JsonValueKind.Null ? new JsonPart(member, $"{Path}.{name}") : null;
        }
        catch (InvalidOperationException e)
        {
            throw HalfSurrogate(e);
        }
    }

    public JsonPart Require(string name, string allowed) => Find(name) ?? throw RequestRefusedException.Missing($"{Path}.{name}", allowed);

    /// <summary>The value of a string.</summary>
    public string Text(string allowed = "a string")
    {
        if (Value.ValueKind != JsonValueKind.String)
            throw NotA("a string", allowed);
        try
        {
            return Value.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            throw HalfSurrogate(e);
        }
    }

    /// <summary>The JSON of a string, with its quotes and escapes.</summary>
    public ReadOnlySpan<byte> RawText(string allowed = "a string") => Value.ValueKind == JsonValueKind.String ? Raw : throw NotA("a string", allowed);

    public bool Flag() => Value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw NotA("a boolean", "true or false"),
    };

    /// <summary>Checks that this is a whole number.</summary>
    public void RequireWhole()
    {
        if (Value.ValueKind != JsonValueKind.Number || !Value.TryGetInt64(out _))
            throw NotA("a whole number", "a whole number");
    }

    public ByteString ToBytes() => ByteString.CopyFrom(Raw);

    public RequestRefusedException NotA(string expected, string allowed) => RequestRefusedException.NotA(Path, JsonExcerpt.Of(Value), expected, allowed);

    /// <summary>The refusal of a value that has the right type.</summary>
    public RequestRefusedException NotAllowed(string allowed) =>
        RequestRefusedException.Invalid(Path, $"{JsonExcerpt.Of(Value)} is not served; allowed: {allowed}");

    private RequestRefusedException HalfSurrogate(Exception cause) => JsonBody.HalfSurrogate(Path, cause);
}
