using System.Text.Json;
using Google.Protobuf;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Simulated;

/// <summary>The simulated chat template: the request's JSON as it stands. Refuses what would ask for more than plain text.</summary>
internal static class SimulatedChat
{
    private const byte Separator = 0x1E;
    private static readonly JsonDocumentOptions Limits = new() { MaxDepth = 64 };

    public static byte[] Render(ChatPrompt chat)
    {
        using (var messages = Parse(chat.Messages, "chat.messages"))
        {
            if (messages.RootElement.ValueKind != JsonValueKind.Array || messages.RootElement.GetArrayLength() == 0)
            {
                throw Invalid("chat.messages", "a JSON array of at least one message");
            }
        }

        CheckTools(chat);
        CheckResponseFormat(chat.ResponseFormat);
        return [.. chat.Messages.Span, Separator, .. chat.Tools.Span, Separator, .. chat.ToolChoice.Span];
    }

    private static void CheckTools(ChatPrompt chat)
    {
        if (!chat.Tools.IsEmpty)
        {
            using var tools = Parse(chat.Tools, "chat.tools");
            if (tools.RootElement.ValueKind != JsonValueKind.Array)
            {
                throw Invalid("chat.tools", "a JSON array");
            }
        }

        if (!chat.ToolChoice.IsEmpty)
        {
            using var choice = Parse(chat.ToolChoice, "chat.tool_choice");
            var name = choice.RootElement.ValueKind == JsonValueKind.String ? choice.RootElement.GetString() : null;
            if (name is not ("auto" or "none"))
            {
                throw new FaultException(
                    Fault.Unsupported, "chat.tool_choice asks for a call; the simulated engine calls no tools: allowed are \"auto\" and \"none\"");
            }
        }
    }

    private static void CheckResponseFormat(ByteString json)
    {
        if (json.IsEmpty)
        {
            return;
        }

        using var format = Parse(json, "chat.response_format");
        var isText = format.RootElement.ValueKind == JsonValueKind.Object
            && format.RootElement.TryGetProperty("type", out var type)
            && type.ValueKind == JsonValueKind.String
            && type.ValueEquals("text"u8);
        if (!isText)
        {
            throw new FaultException(
                Fault.Unsupported, "chat.response_format asks for structure; the simulated engine writes plain text: allowed is {\"type\":\"text\"}");
        }
    }

    private static JsonDocument Parse(ByteString json, string field)
    {
        try
        {
            return JsonDocument.Parse(json.Memory, Limits);
        }
        catch (JsonException exception)
        {
            throw new FaultException(Fault.InvalidRequest, $"{field} is no valid JSON: {exception.Message}", exception);
        }
    }

    private static FaultException Invalid(string field, string allowed) =>
        new(Fault.InvalidRequest, $"{field} is not {allowed}");
}
