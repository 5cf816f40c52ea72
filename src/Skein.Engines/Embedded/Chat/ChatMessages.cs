using System.Text;
using System.Text.Json;
using Google.Protobuf;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Embedded.Chat;

/// <summary>One message of a chat.</summary>
/// <param name="Role"><c>system</c>, <c>user</c> or <c>assistant</c>.</param>
/// <param name="Content">Its text.</param>
internal readonly record struct ChatMessage(string Role, string Content);

/// <summary>Reads a chat from the JSON the client sent.</summary>
internal static class ChatMessages
{
    private const int MostDepth = 64;

    /// <exception cref="FaultException">It is no chat, or has parts this engine cannot serve; the message names the member.</exception>
    public static List<ChatMessage> Read(ChatPrompt chat)
    {
        RefuseTools(chat);
        RefuseFormat(chat);
        using var document = Parse(chat.Messages, "messages");
        var root = document.RootElement;
        if (root.ValueKind != JsonValueKind.Array || root.GetArrayLength() == 0)
        {
            throw Refusal.Field("messages", Describe(root), "an array of at least one message");
        }

        var messages = new List<ChatMessage>(root.GetArrayLength());
        foreach (var element in root.EnumerateArray())
        {
            messages.Add(ReadMessage(element, $"messages[{messages.Count}]"));
        }

        return messages;
    }

    private static ChatMessage ReadMessage(JsonElement element, string path)
    {
        if (element.ValueKind != JsonValueKind.Object)
        {
            throw Refusal.Field(path, Describe(element), "an object with role and content");
        }

        var role = ReadText(Member(element, "role", path), path + ".role") switch
        {
            "system" or "developer" => "system",
            "user" => "user",
            "assistant" => "assistant",
            var other => throw Refusal.Field(path + ".role", $"\"{other}\"", "system, developer, user, assistant"),
        };
        return new ChatMessage(role, ReadContent(Member(element, "content", path), path + ".content"));
    }

    private static string ReadContent(JsonElement content, string path)
    {
        if (content.ValueKind != JsonValueKind.Array)
        {
            return ReadText(content, path);
        }

        var text = new StringBuilder();
        var index = 0;
        foreach (var part in content.EnumerateArray())
        {
            var partPath = $"{path}[{index++}]";
            if (part.ValueKind != JsonValueKind.Object)
            {
                throw Refusal.Field(partPath, Describe(part), "an object with type \"text\" and text");
            }

            var type = ReadText(Member(part, "type", partPath), partPath + ".type");
            if (type != "text")
            {
                throw Refusal.Field(partPath + ".type", $"\"{type}\"", "\"text\"");
            }

            text.Append(ReadText(Member(part, "text", partPath), partPath + ".text"));
        }

        return text.ToString();
    }

    private static void RefuseTools(ChatPrompt chat)
    {
        using var tools = Parse(chat.Tools, "tools");
        if (tools.RootElement.ValueKind is not (JsonValueKind.Null or JsonValueKind.Array) || HasElements(tools.RootElement))
        {
            throw Unsupported("tools", "none: the embedded engine's models cannot call any");
        }

        using var choice = Parse(chat.ToolChoice, "tool_choice");
        if (choice.RootElement.ValueKind != JsonValueKind.Null && !IsText(choice.RootElement, "none") && !IsText(choice.RootElement, "auto"))
        {
            throw Unsupported("tool_choice", "\"none\" or \"auto\": the embedded engine's models cannot call tools");
        }
    }

    private static void RefuseFormat(ChatPrompt chat)
    {
        using var format = Parse(chat.ResponseFormat, "response_format");
        var root = format.RootElement;
        var isText = root.ValueKind == JsonValueKind.Object && root.TryGetProperty("type", out var type) && IsText(type, "text");
        if (!isText && root.ValueKind != JsonValueKind.Null)
        {
            throw Unsupported("response_format", "{\"type\":\"text\"}: the embedded engine writes plain text only");
        }
    }

    private static FaultException Unsupported(string member, string allowed) =>
        new(Fault.Unsupported, $"{member} asks for what this engine cannot do; allowed: {allowed}");

    // An absent member is read as null.
    private static JsonDocument Parse(ByteString json, string path)
    {
        try
        {
            return JsonDocument.Parse(json.IsEmpty ? "null"u8.ToArray() : json.Memory, new JsonDocumentOptions { MaxDepth = MostDepth });
        }
        catch (JsonException exception)
        {
            var place = $"line {exception.LineNumber + 1}, byte {exception.BytePositionInLine + 1}";
            var message = $"{path} is not JSON ({place}); allowed: JSON of depth {MostDepth} at most";
            throw new FaultException(Fault.InvalidRequest, message, exception);
        }
    }

    private static bool HasElements(JsonElement element) => element.ValueKind == JsonValueKind.Array && element.GetArrayLength() > 0;

    private static bool IsText(JsonElement element, string text) => element.ValueKind == JsonValueKind.String && element.ValueEquals(text);

    private static JsonElement Member(JsonElement element, string name, string path) =>
        element.TryGetProperty(name, out var member) ? member : throw Refusal.Field($"{path}.{name}", "missing", "a text");

    private static string ReadText(JsonElement element, string path)
    {
        if (element.ValueKind != JsonValueKind.String)
        {
            throw Refusal.Field(path, Describe(element), "a text");
        }

        try
        {
            return element.GetString()!;
        }
        catch (InvalidOperationException exception)
        {
            // JSON can escape half a surrogate pair, which no text can hold.
            throw new FaultException(Fault.InvalidRequest, $"{path} is no valid Unicode text", exception);
        }
    }

    private static string Describe(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Array => $"an array of {element.GetArrayLength()}",
        JsonValueKind.Object => "an object",
        JsonValueKind.String => "a text",
        JsonValueKind.Number => "a number",
        JsonValueKind.True or JsonValueKind.False => "a truth value",
        _ => "null",
    };
}
