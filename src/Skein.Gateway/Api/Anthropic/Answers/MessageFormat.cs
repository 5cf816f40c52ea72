using Skein.Gateway.Api.Chats;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.Anthropic.Answers;

/// <summary>Writes the objects of an answer that events and whole answers share.</summary>
internal static class MessageFormat
{
    /// <summary>Clients send thinking back with its signature, which nobody reads here.</summary>
    public static ReadOnlySpan<byte> Signature => "\"skein\""u8;

    /// <summary>Writes what every message begins with, up to the start of its <c>content</c>.</summary>
    /// <param name="start">Null: no engine has begun.</param>
    public static void WriteHead(scoped ref JsonSink json, string sessionId, string model, Start? start)
    {
        json.Raw("{\"id\":"u8);
        json.Text("msg_" + sessionId);
        json.Raw(",\"type\":\"message\",\"role\":\"assistant\",\"model\":"u8);
        json.Text(start is { Model.Length: > 0 } ? start.Model : model);
        json.Raw(",\"content\":["u8);
    }

    public static void WriteBlock(scoped ref JsonSink json, AnswerItem item)
    {
        switch (item.Kind)
        {
            case AnswerItemKind.Reasoning:
                json.Raw("{\"type\":\"thinking\",\"thinking\":"u8);
                json.Text(item.Content);
                json.Raw(",\"signature\":"u8);
                json.Raw(Signature);
                json.Raw("}"u8);
                break;
            case AnswerItemKind.Call:
                WriteCallHead(ref json, item);
                WriteInput(ref json, item.Content);
                json.Raw("}"u8);
                break;
            default:
                json.Raw("{\"type\":\"text\",\"text\":"u8);
                json.Text(item.Content);
                json.Raw("}"u8);
                break;
        }
    }

    /// <summary>Writes a block of a call up to the value of its <c>input</c>.</summary>
    public static void WriteCallHead(scoped ref JsonSink json, AnswerItem call)
    {
        json.Raw("{\"type\":\"tool_use\",\"id\":"u8);
        json.Text(call.CallId);
        json.Raw(",\"name\":"u8);
        json.Text(call.Name);
        json.Raw(",\"input\":"u8);
    }

    /// <summary>Writes the reason and the stop text, the last members of a message but its usage.</summary>
    public static void WriteStop(scoped ref JsonSink json, AnswerItems items)
    {
        var finish = items.Finish ?? new Finish();
        var reason = ReasonOf(finish, items.HasCalls);
        json.Raw("\"stop_reason\":"u8);
        json.Raw(reason);
        json.Raw(",\"stop_sequence\":"u8);
        json.Text(reason.SequenceEqual(StopSequence) ? finish.MatchedStop : null);
    }

    /// <summary>Writes the value of <c>usage</c>. The API requires it: engines that do not count give zeros.</summary>
    public static void WriteUsage(scoped ref JsonSink json, Usage? usage)
    {
        var cached = usage is { HasCachedPromptTokens: true } ? Math.Min(usage.CachedPromptTokens, usage.PromptTokens) : 0;
        WriteUsage(ref json, (usage?.PromptTokens ?? 0) - cached, cached, usage?.CompletionTokens ?? 0);
    }

    public static void WriteUsage(scoped ref JsonSink json, uint input, uint cached, uint output)
    {
        json.Raw("{\"input_tokens\":"u8);
        json.Number(input);
        json.Raw(",\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":"u8);
        json.Number(cached);
        json.Raw(",\"output_tokens\":"u8);
        json.Number(output);
        json.Raw("}"u8);
    }

    private static ReadOnlySpan<byte> StopSequence => "\"stop_sequence\""u8;

    private static ReadOnlySpan<byte> ReasonOf(Finish finish, bool hasCalls) => finish.Reason switch
    {
        FinishReason.Length => "\"max_tokens\""u8,
        FinishReason.ContentFilter => "\"refusal\""u8,
        FinishReason.Stop or FinishReason.ToolCalls when hasCalls => "\"tool_use\""u8,
        FinishReason.Stop when finish.MatchedStop.Length > 0 => StopSequence,
        FinishReason.Stop or FinishReason.ToolCalls => "\"end_turn\""u8,
        _ => throw new InvalidDataException($"the replica finished with the unknown reason {finish.Reason}"),
    };

    // The API has an object here. A model may have written something else, or was cut: the client's tool then refuses it by its schema.
    private static void WriteInput(scoped ref JsonSink json, ReadOnlySpan<byte> arguments)
    {
        if (arguments.IsEmpty)
        {
            json.Raw("{}"u8);
        }
        else if (JsonShape.IsObject(arguments))
        {
            json.Raw(arguments);
        }
        else
        {
            json.Raw("{\"INVALID_JSON\":"u8);
            json.Text(arguments);
            json.Raw("}"u8);
        }
    }
}
