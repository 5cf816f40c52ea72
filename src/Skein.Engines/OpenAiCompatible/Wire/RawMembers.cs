using System.Buffers;
using System.Runtime.InteropServices;

namespace Skein.Engines.OpenAiCompatible.Wire;

/// <summary>Members of JSON objects that are passed on byte for byte.</summary>
internal static class RawMembers
{
    /// <summary>The members but those of the given names, as a JSON object; empty if there are none. Null means absent.</summary>
    public static ReadOnlyMemory<byte> Except(JsonElement element, ReadOnlySpan<string> names)
    {
        if (element.ValueKind != JsonValueKind.Object)
            return default;

        ArrayBufferWriter<byte>? rest = null;
        foreach (var member in element.EnumerateObject())
        {
            if (member.Value.ValueKind == JsonValueKind.Null || names.Contains(member.Name))
                continue;

            rest ??= new ArrayBufferWriter<byte>();
            rest.Write(rest.WrittenCount == 0 ? "{\""u8 : ",\""u8);
            rest.Write(JsonMarshal.GetRawUtf8PropertyName(member));
            rest.Write("\":"u8);
            rest.Write(JsonMarshal.GetRawUtf8Value(member.Value));
        }

        rest?.Write("}"u8);
        return rest?.WrittenMemory ?? default;
    }

    /// <summary>The members of both objects. Of two with the same name the later one counts.</summary>
    public static ReadOnlyMemory<byte> Join(ReadOnlyMemory<byte> earlier, ReadOnlyMemory<byte> later)
    {
        if (earlier.IsEmpty || later.IsEmpty)
            return earlier.IsEmpty ? later : earlier;

        var names = JsonElement.Parse(later.Span).EnumerateObject().Select(member => member.Name).ToArray();
        var kept = Except(JsonElement.Parse(earlier.Span), names);
        return kept.IsEmpty ? later : (byte[])[.. kept.Span[..^1], (byte)',', .. later.Span[1..]];
    }
}
