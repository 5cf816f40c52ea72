using System.Text.Json;

namespace Skein.Protocol;

/// <summary>Checks the form of JSON without reading it.</summary>
public static class JsonShape
{
    /// <summary>
    /// Whether the bytes are exactly one JSON object. They are parsed to the end: text that only begins and ends like one could close what is around it.
    /// </summary>
    public static bool IsObject(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json);
        try
        {
            return reader.Read() && reader.TokenType == JsonTokenType.StartObject && reader.TrySkip() && !reader.Read();
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
