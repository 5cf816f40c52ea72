using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.OpenAi.Requests;

/// <summary>
/// Tools, choices and formats are the engine's to read. What has a wrong type inside them is refused here: some servers answer it with the status 500, which
/// would count against them.
/// </summary>
internal static class ToolTypes
{
    public static void ReadTools(ref Utf8JsonReader reader, string name, ReadOnlyMemory<byte> body, OpenAiRequest request)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
            throw RequestRefusedException.NotA(name, JsonExcerpt.Of(ref reader), "an array", "an array");
        var start = reader;
        for (var index = 0; reader.Read() && reader.TokenType != JsonTokenType.EndArray; index++)
        {
            if (reader.TokenType != JsonTokenType.StartObject)
                throw RequestRefusedException.NotA($"{name}[{index}]", JsonExcerpt.Of(ref reader), "an object", "objects with a type");
            Check(ref reader, name, index);
        }

        request.Chat.Tools = JsonField.Verbatim(ref start, body);
    }

    public static void ReadChoice(ref Utf8JsonReader reader, string name, ReadOnlyMemory<byte> body, OpenAiRequest request)
    {
        JsonType.TextOrObject.Check(ref reader, name);
        var start = reader;
        if (reader.TokenType == JsonTokenType.StartObject)
            Check(ref reader, name);
        request.Chat.ToolChoice = JsonField.Verbatim(ref start, body);
    }

    public static void ReadFormat(ref Utf8JsonReader reader, string name, ReadOnlyMemory<byte> body, OpenAiRequest request)
    {
        JsonType.Object.Check(ref reader, name);
        var start = reader;
        Check(ref reader, name);
        request.Chat.ResponseFormat = JsonField.Verbatim(ref start, body);
    }

    /// <summary>Checks the members of an object that every API documents, and reads to its end. Null counts as absent.</summary>
    private static void Check(ref Utf8JsonReader reader, string name, int? index = null, bool isFunction = false)
    {
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            var (member, type) = TypeOf(reader.ValueSpan, isFunction);
            reader.Read();
            if (type is not null && reader.TokenType != JsonTokenType.Null && !type.Tokens.Contains(reader.TokenType))
                type.Check(ref reader, $"{name}{(index is { } place ? $"[{place}]" : "")}{(isFunction ? ".function" : "")}.{member}");
            if (member == "function" && reader.TokenType == JsonTokenType.StartObject)
                Check(ref reader, name, index, isFunction: true);
            else
                reader.Skip();
        }
    }

    private static (string? Member, JsonType? Type) TypeOf(ReadOnlySpan<byte> member, bool isFunction) =>
        isFunction
            ? member.SequenceEqual("name"u8) ? ("name", JsonType.Text)
                : member.SequenceEqual("description"u8) ? ("description", JsonType.Text)
                : default((string?, JsonType?))
            : member.SequenceEqual("type"u8) ? ("type", JsonType.Text)
                : member.SequenceEqual("function"u8) ? ("function", JsonType.Object)
                : member.SequenceEqual("json_schema"u8) ? ("json_schema", JsonType.Object)
                : default;
}
