namespace Skein.Engines.Requests;

/// <summary>Reads chats for engines that answer in plain text only.</summary>
internal static class PlainChat
{
    /// <summary>The messages. Roles are <c>system</c>, <c>user</c> and <c>assistant</c>; every message has a text.</summary>
    /// <exception cref="FaultException">The chat cannot be read, or asks for more than plain text.</exception>
    public static IReadOnlyList<ChatMessage> Read(ChatPrompt chat) => Run(() =>
    {
        RefuseCallsAndFormats(chat);
        return ChatJson.HasTools(chat.Tools)
            ? throw Unsupported("tools", "none: the model cannot call tools")
            : ReadMessages(chat).Select(ReadMessage).ToList();
    });

    /// <summary>Checks a chat whose messages are not read: their structure, no call and no format.</summary>
    /// <exception cref="FaultException">The chat cannot be read, or asks for more than plain text.</exception>
    public static void Check(ChatPrompt chat) => Run(() =>
    {
        RefuseCallsAndFormats(chat);
        ChatJson.HasTools(chat.Tools);
        return ReadMessages(chat);
    });

    private static IReadOnlyList<ChatMessage> ReadMessages(ChatPrompt chat) => ChatJson.Read(chat.Messages) is { Count: > 0 } messages
        ? messages
        : throw new ChatJsonException(ChatJsonProblem.WrongValue, ChatJson.Messages, "[] is empty; allowed: an array of at least one message");

    private static ChatMessage ReadMessage(ChatMessage message, int index)
    {
        var path = $"{ChatJson.Messages}[{index}]";
        var role = message.Role switch
        {
            "system" or "developer" => "system",
            "user" or "assistant" => message.Role,
            var other => throw RequestChecks.Refused($"{path}.role", $"\"{other}\"", "system, developer, user, assistant"),
        };
        return message switch
        {
            { OtherPart: { } part } => throw RequestChecks.Refused($"{path}.content", $"a part of type \"{part}\"", "parts of type \"text\""),
            { Text: null } => throw RequestChecks.Refused($"{path}.content", "null", "a text"),
            _ => message with { Role = role },
        };
    }

    private static void RefuseCallsAndFormats(ChatPrompt chat)
    {
        if (ChatJson.RequiresTool(chat.ToolChoice))
            throw Unsupported("tool_choice", "\"none\" or \"auto\": the model cannot call tools");

        if (ChatJson.RequiresFormat(chat.ResponseFormat))
            throw Unsupported("response_format", "{\"type\":\"text\"}: the engine writes plain text only");
    }

    private static T Run<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (ChatJsonException exception)
        {
            throw new FaultException(Fault.InvalidRequest, exception.Message, exception);
        }
    }

    private static FaultException Unsupported(string member, string allowed) =>
        new(Fault.Unsupported, $"{member} asks for what this engine cannot do; allowed: {allowed}");
}
