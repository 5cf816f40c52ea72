using System.Text.Json;

namespace Skein.Gateway.Api.Http;

/// <summary>
/// Checks the structure of <c>messages</c>: what every chat template relies on. Texts are not looked at, unknown members are left alone.
/// </summary>
internal static class ChatMessages
{
    public const string Field = "messages";

    private const string Roles = "system, developer, user, assistant, tool, function";

    /// <summary>Reads the array the reader stands on, to its end.</summary>
    /// <exception cref="RequestRefusedException">Names the message and the member at fault.</exception>
    public static void Check(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
            throw RequestRefusedException.NotA(Field, JsonField.Describe(ref reader), "an array", "an array of at least one message");
        var count = 0;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            CheckMessage(ref reader, count++);
        if (count == 0)
            throw RequestRefusedException.Invalid(Field, "[] is empty; allowed: an array of at least one message");
    }

    private static void CheckMessage(ref Utf8JsonReader reader, int index)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
            throw RequestRefusedException.NotA($"{Field}[{index}]", JsonField.Describe(ref reader), "an object", "an object with role and content");
        bool hasRole = false, hasContent = false, isAssistant = false;
        JsonTokenType? content = null;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            if (JsonField.TextEquals(ref reader, "role"u8))
            {
                if (hasRole)
                    throw RequestRefusedException.Twice($"{Field}[{index}].role");
                hasRole = true;
                reader.Read();
                isAssistant = IsAssistant(ref reader, index);
            }
            else if (JsonField.TextEquals(ref reader, "content"u8))
            {
                if (hasContent)
                    throw RequestRefusedException.Twice($"{Field}[{index}].content");
                hasContent = true;
                reader.Read();
                content = reader.TokenType;
                CheckContent(ref reader, index);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }

        if (!hasRole)
            throw RequestRefusedException.Missing($"{Field}[{index}].role", Roles);
        // An assistant may have only called tools; everybody else must have said something.
        if (!isAssistant && content is null or JsonTokenType.Null)
            throw RequestRefusedException.Missing($"{Field}[{index}].content", "a string or an array of parts");
    }

    private static bool IsAssistant(ref Utf8JsonReader reader, int index)
    {
        if (reader.TokenType != JsonTokenType.String)
            throw RequestRefusedException.NotA($"{Field}[{index}].role", JsonField.Describe(ref reader), "a string", Roles);
        if (JsonField.TextEquals(ref reader, "assistant"u8))
            return true;
        if (JsonField.TextEquals(ref reader, "user"u8) || JsonField.TextEquals(ref reader, "system"u8)
            || JsonField.TextEquals(ref reader, "developer"u8) || JsonField.TextEquals(ref reader, "tool"u8)
            || JsonField.TextEquals(ref reader, "function"u8))
        {
            return false;
        }

        throw RequestRefusedException.Invalid($"{Field}[{index}].role", $"{JsonField.Describe(ref reader)} is unknown; allowed: {Roles}");
    }

    private static void CheckContent(ref Utf8JsonReader reader, int index)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.String or JsonTokenType.Null:
                return;
            case JsonTokenType.StartArray:
                for (var part = 0; reader.Read() && reader.TokenType != JsonTokenType.EndArray; part++)
                {
                    if (reader.TokenType != JsonTokenType.StartObject)
                        throw RequestRefusedException.NotA($"{Field}[{index}].content[{part}]", JsonField.Describe(ref reader), "an object", "objects with a type");
                    reader.Skip();
                }

                return;
            default:
                throw RequestRefusedException.NotA($"{Field}[{index}].content", JsonField.Describe(ref reader), "text", "a string, an array of parts, or null");
        }
    }
}
