using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.Texts;

/// <summary>One event of a stream: only text, or JSON to be read in full.</summary>
/// <param name="TextBytes">Length of the text in <see cref="PlainDeltaReader.Text"/>.</param>
/// <param name="Json">The whole event; null if it is only text.</param>
internal readonly record struct DeltaEvent(int TextBytes, JsonElement? Json);

/// <summary>
/// Reads the most frequent event, a delta that is nothing but text, without building a document and a string. All other events are parsed in full. Not safe
/// for concurrent use.
/// </summary>
internal sealed class PlainDeltaReader(EngineHttp http, bool isChat)
{
    private byte[] _text = new byte[256];

    /// <summary>Whether an event with the server's <c>system_fingerprint</c> may count as only text: it was read before.</summary>
    public bool SkipsFingerprint { get; set; }

    /// <summary>Begins with the text of the event read last.</summary>
    public ReadOnlySpan<byte> Text => _text;

    /// <summary>Reads one event; null for <c>[DONE]</c>.</summary>
    /// <exception cref="JsonException">It is not JSON.</exception>
    /// <exception cref="FaultException">It is an error.</exception>
    public DeltaEvent? Read(string type, ReadOnlySpan<byte> data)
    {
        // Text without its escapes is never longer than its JSON.
        if (_text.Length < data.Length)
            _text = new byte[Math.Max(data.Length, _text.Length * 2)];

        var reader = new Utf8JsonReader(data);
        return type != "error" && !data.StartsWith("[DONE]"u8) && TryReadEvent(ref reader, out var length)
            ? new DeltaEvent(length, Json: null)
            : http.ParseEvent(type, data) is { } json ? new DeltaEvent(0, json) : null;
    }

    private bool TryReadEvent(ref Utf8JsonReader reader, out int length)
    {
        length = 0;
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            return false;

        var hasChoice = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isChoices = reader.ValueTextEquals("choices"u8);
            var isObject = reader.ValueTextEquals("object"u8);
            var mustBeNull = !isChoices && !isObject && !IsConstant(ref reader);
            reader.Read();
            if ((isChoices && (hasChoice || !TryReadChoices(ref reader, out length)))
                || (mustBeNull && reader.TokenType != JsonTokenType.Null)
                || (isObject && reader.TokenType == JsonTokenType.String && reader.ValueTextEquals("error"u8)))
            {
                return false;
            }

            hasChoice |= isChoices;
            reader.Skip();
        }

        // The reader throws if anything follows the object.
        return hasChoice && !reader.Read();
    }

    // Members that are the same in all events of an answer, and are not passed on.
    private bool IsConstant(ref Utf8JsonReader reader) =>
        reader.ValueTextEquals("id"u8) || reader.ValueTextEquals("created"u8) || reader.ValueTextEquals("model"u8)
        || (SkipsFingerprint && reader.ValueTextEquals("system_fingerprint"u8));

    private bool TryReadChoices(ref Utf8JsonReader reader, out int length)
    {
        length = 0;
        if (reader.TokenType != JsonTokenType.StartArray || !reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            return false;

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isDelta = isChat && reader.ValueTextEquals("delta"u8);
            var isText = !isChat && reader.ValueTextEquals("text"u8);
            var mustBeNull = !isDelta && !isText && !reader.ValueTextEquals("index"u8);
            reader.Read();
            if ((isDelta && !TryReadDelta(ref reader, out length)) || (isText && !TryReadText(ref reader, out length))
                || (mustBeNull && reader.TokenType != JsonTokenType.Null))
            {
                return false;
            }

            reader.Skip();
        }

        return reader.Read() && reader.TokenType == JsonTokenType.EndArray;
    }

    private bool TryReadDelta(ref Utf8JsonReader reader, out int length)
    {
        length = 0;
        if (reader.TokenType != JsonTokenType.StartObject)
            return false;

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isContent = reader.ValueTextEquals("content"u8);
            var isRole = reader.ValueTextEquals("role"u8);
            reader.Read();
            if (isContent ? !TryReadText(ref reader, out length) : !isRole && reader.TokenType != JsonTokenType.Null)
                return false;

            reader.Skip();
        }

        return true;
    }

    private bool TryReadText(ref Utf8JsonReader reader, out int length)
    {
        length = reader.TokenType == JsonTokenType.String ? reader.CopyString(_text) : 0;
        return reader.TokenType is JsonTokenType.String or JsonTokenType.Null;
    }
}
