using System.Text.Json;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.OpenAiCompatible;

/// <summary>What a chat's messages are, as far as resuming hangs on it.</summary>
/// <param name="IsPlainText">No images, sounds or files in it.</param>
/// <param name="EndsWithAssistant">The client itself began the answer.</param>
internal readonly record struct ChatShape(bool IsPlainText, bool EndsWithAssistant)
{
    /// <exception cref="FaultException">The messages are no array of objects.</exception>
    public static ChatShape Of(ChatPrompt chat)
    {
        JsonElement messages;
        try
        {
            messages = JsonElement.Parse(chat.Messages.Span);
        }
        catch (JsonException exception)
        {
            throw new FaultException(Fault.InvalidRequest, $"messages is no JSON: {exception.Message}", exception);
        }

        var isList = messages.ValueKind == JsonValueKind.Array && messages.GetArrayLength() > 0;
        if (!isList || messages.EnumerateArray().Any(message => message.ValueKind != JsonValueKind.Object))
        {
            throw new FaultException(Fault.InvalidRequest, "messages is not what it may be; allowed: an array of at least one object");
        }

        var parts = messages.EnumerateArray().SelectMany(message => message.Elements("content"));
        var isPlain = parts.All(part => part.Text("type") is null or "text");
        return new ChatShape(isPlain, messages[messages.GetArrayLength() - 1].Text("role") == "assistant");
    }
}
