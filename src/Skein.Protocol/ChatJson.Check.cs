using System.Text.Json;

namespace Skein.Protocol;

public static partial class ChatJson
{
    /// <summary>
    /// Reads the array that the reader is at, to its end. Checks what every chat template relies on, and the types of documented members; texts and unknown
    /// members are not checked. Whether an empty array has an answer is the engine's to say.
    /// </summary>
    /// <exception cref="ChatJsonException">Names the message and the member.</exception>
    /// <exception cref="JsonException">The JSON is broken.</exception>
    public static void Check(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
            throw NotA(ref reader, Messages, "an array", "an array of messages");
        var count = 0;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            CheckMessage(ref reader, count++);
    }

    private static void CheckMessage(ref Utf8JsonReader reader, int index)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
            throw NotA(ref reader, $"{Messages}[{index}]", "an object", "an object with role and content");
        bool hasRole = false, hasContent = false;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            if (IsPlain(ref reader, "role"u8))
            {
                RefuseSecond(ref hasRole, index, "role");
                reader.Read();
                if (reader.TokenType != JsonTokenType.String)
                    throw NotA(ref reader, PathOf(index, "role"), "a string", Roles);
            }
            else if (IsPlain(ref reader, "content"u8))
            {
                RefuseSecond(ref hasContent, index, "content");
                reader.Read();
                CheckContent(ref reader, index);
            }
            else if (IsPlain(ref reader, "tool_calls"u8))
            {
                reader.Read();
                CheckCalls(ref reader, index);
            }
            else
            {
                CheckOther(ref reader, index);
            }
        }

        if (!hasRole)
            throw Missing(PathOf(index, "role"), Roles);
    }

    private static void CheckCalls(ref Utf8JsonReader reader, int index)
    {
        if (reader.TokenType is JsonTokenType.Null)
            return;
        if (reader.TokenType != JsonTokenType.StartArray)
            throw NotA(ref reader, PathOf(index, "tool_calls"), "an array", "an array of calls, or null");
        for (var call = 0; reader.Read() && reader.TokenType != JsonTokenType.EndArray; call++)
        {
            if (reader.TokenType != JsonTokenType.StartObject)
                throw NotA(ref reader, $"{PathOf(index, "tool_calls")}[{call}]", "an object", "calls with a function");
            reader.Skip();
        }
    }

    /// <summary>Checks the type of a documented member; unknown ones are the engine's to judge.</summary>
    private static void CheckOther(ref Utf8JsonReader reader, int index)
    {
        var isObject = IsPlain(ref reader, "function_call"u8);
        var name = isObject ? "function_call"
            : IsPlain(ref reader, "name"u8) ? "name"
            : IsPlain(ref reader, "tool_call_id"u8) ? "tool_call_id"
            : IsPlain(ref reader, "refusal"u8) ? "refusal"
            : null;
        reader.Read();
        if (name is not null && reader.TokenType is not JsonTokenType.Null && reader.TokenType != (isObject ? JsonTokenType.StartObject : JsonTokenType.String))
            throw NotA(ref reader, PathOf(index, name), isObject ? "an object" : "a string", isObject ? "an object, or null" : "a string, or null");
        reader.Skip();
    }

    private static void CheckContent(ref Utf8JsonReader reader, int index)
    {
        if (reader.TokenType is JsonTokenType.String or JsonTokenType.Null)
            return;
        if (reader.TokenType != JsonTokenType.StartArray)
            throw NotA(ref reader, PathOf(index, "content"), "text", "a string, an array of parts, or null");
        for (var part = 0; reader.Read() && reader.TokenType != JsonTokenType.EndArray; part++)
        {
            if (reader.TokenType != JsonTokenType.StartObject)
                throw NotA(ref reader, $"{PathOf(index, "content")}[{part}]", "an object", "objects with a type");
            CheckPart(ref reader, index, part);
        }
    }

    /// <summary>
    /// Checks a content part. Members come in any order: which of them matters is known at the end. What is not text is the engine's to judge.
    /// </summary>
    private static void CheckPart(ref Utf8JsonReader reader, int index, int part)
    {
        // Null: no type.
        string? type = null;
        (bool IsThere, string? Wrong) text = default, refusal = default;
        var isEmpty = true;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            if (IsPlain(ref reader, "type"u8))
            {
                reader.Read();
                type = reader.TokenType switch
                {
                    JsonTokenType.Null => null,
                    JsonTokenType.String => IsPlain(ref reader, "text"u8) ? "text" : IsPlain(ref reader, "refusal"u8) ? "refusal" : "",
                    _ => throw NotA(ref reader, new MemberPath(index, "content", part, "type").ToString(), "a string", "a string"),
                };
                continue;
            }

            isEmpty = false;
            if (IsPlain(ref reader, "text"u8))
                text = PieceAt(ref reader);
            else if (IsPlain(ref reader, "refusal"u8))
                refusal = PieceAt(ref reader);
            else
                reader.Skip();
        }

        if (type is "" || (type is null && !text.IsThere && !isEmpty))
            return;
        type ??= "text";
        var (isThere, wrong) = type is "text" ? text : refusal;
        var path = new MemberPath(index, "content", part, type);
        if (wrong is not null)
            throw new ChatJsonException(ChatJsonProblem.WrongType, path.ToString(), $"{wrong} is not a string; allowed: a string");
        if (!isThere)
            throw Missing(path.ToString(), "a string");
    }

    // Null counts as absent.
    private static (bool IsThere, string? Wrong) PieceAt(ref Utf8JsonReader reader)
    {
        reader.Read();
        var wrong = reader.TokenType is JsonTokenType.String or JsonTokenType.Null ? null : JsonExcerpt.Of(ref reader);
        var isThere = reader.TokenType is not JsonTokenType.Null;
        reader.Skip();
        return (isThere, wrong);
    }

    // Only names without escapes match: no client escapes ASCII letters, and the reader throws on half a surrogate pair.
    private static bool IsPlain(ref Utf8JsonReader reader, ReadOnlySpan<byte> text) => !reader.ValueIsEscaped && reader.ValueSpan.SequenceEqual(text);

    private static void RefuseSecond(ref bool isSeen, int index, string member)
    {
        if (isSeen)
            throw new ChatJsonException(ChatJsonProblem.WrongValue, PathOf(index, member), "appears more than once; allowed: once");
        isSeen = true;
    }
}
