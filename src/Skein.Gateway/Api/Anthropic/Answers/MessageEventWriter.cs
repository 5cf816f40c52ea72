using Skein.Gateway.Api.Chats;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.Anthropic.Answers;

/// <summary>Writes an answer as the typed events of a message.</summary>
internal sealed class MessageEventWriter : IEventWriter, IAnswerItemSink
{
    private readonly MessagePlan _plan;
    private readonly string _sessionId;
    private readonly AnswerItems _items;
    private bool _isOpen;

    public MessageEventWriter(MessagePlan plan, string sessionId)
    {
        (_plan, _sessionId) = (plan, sessionId);
        _items = new AnswerItems(sessionId, plan.ShowsThinking, this);
    }

    public void Write(GenerateFrame frame, IBufferWriter<byte> output)
    {
        // Also for a token of which the client sees nothing: it learns that the answer has begun.
        if (frame.Count > 0)
            Open(output, frame.Start);
        _items.Add(frame, output);
    }

    public void Complete(IBufferWriter<byte> output, string? comment)
    {
        Open(output);
        var json = new JsonSink(output);
        json.Raw("event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"u8);
        MessageFormat.WriteStop(ref json, _items);
        json.Raw("},\"usage\":"u8);
        MessageFormat.WriteUsage(ref json, _items.Finish?.Usage);
        json.Raw("}\n\n"u8);
        if (comment is not null)
        {
            json.Raw(Encoding.ASCII.GetBytes(comment.TrimEnd()));
            json.Raw("\n"u8);
        }

        json.Raw("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"u8);
        json.Complete();
    }

    public void KeepAlive(IBufferWriter<byte> output, ReadOnlySpan<byte> comment)
    {
        // Clients refuse a message whose first event is another one.
        Open(output);
        output.Write(comment);
        output.Write("event: ping\ndata: {\"type\":\"ping\"}\n\n"u8);
    }

    public void Fail(ApiError error, IBufferWriter<byte> output)
    {
        output.Write("event: error\ndata: "u8);
        AnthropicError.Write(error, output);
        output.Write("\n\n"u8);
    }

    public void Begin(AnswerItem item, IBufferWriter<byte> output)
    {
        Open(output);
        var json = new JsonSink(output);
        json.Raw("event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":"u8);
        json.Number(item.Index);
        json.Raw(",\"content_block\":"u8);
        switch (item.Kind)
        {
            case AnswerItemKind.Reasoning:
                json.Raw("{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}"u8);
                break;
            case AnswerItemKind.Call:
                MessageFormat.WriteCallHead(ref json, item);
                json.Raw("{}}"u8);
                break;
            default:
                json.Raw("{\"type\":\"text\",\"text\":\"\"}"u8);
                break;
        }

        json.Raw("}\n\n"u8);
        json.Complete();
    }

    public void Append(AnswerItem item, ReadOnlySpan<byte> added, IReadOnlyList<TokenLogprob> logprobs, IBufferWriter<byte> output)
    {
        var json = BeginDelta(item, output);
        json.Raw(item.Kind switch
        {
            AnswerItemKind.Reasoning => "{\"type\":\"thinking_delta\",\"thinking\":"u8,
            AnswerItemKind.Call => "{\"type\":\"input_json_delta\",\"partial_json\":"u8,
            _ => "{\"type\":\"text_delta\",\"text\":"u8,
        });
        json.Text(added);
        json.Raw("}}\n\n"u8);
        json.Complete();
    }

    public void End(AnswerItem item, IBufferWriter<byte> output)
    {
        if (item.Kind == AnswerItemKind.Reasoning)
        {
            var signature = BeginDelta(item, output);
            signature.Raw("{\"type\":\"signature_delta\",\"signature\":"u8);
            signature.Raw(MessageFormat.Signature);
            signature.Raw("}}\n\n"u8);
            signature.Complete();
        }

        var json = new JsonSink(output);
        json.Raw("event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":"u8);
        json.Number(item.Index);
        json.Raw("}\n\n"u8);
        json.Complete();
    }

    private static JsonSink BeginDelta(AnswerItem item, IBufferWriter<byte> output)
    {
        var json = new JsonSink(output);
        json.Raw("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":"u8);
        json.Number(item.Index);
        json.Raw(",\"delta\":"u8);
        return json;
    }

    private void Open(IBufferWriter<byte> output, Start? start = null)
    {
        if (_isOpen)
            return;
        _isOpen = true;
        start ??= _items.Start;
        var json = new JsonSink(output);
        json.Raw("event: message_start\ndata: {\"type\":\"message_start\",\"message\":"u8);
        MessageFormat.WriteHead(ref json, _sessionId, _plan.Model, start);
        json.Raw("],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":"u8);
        MessageFormat.WriteUsage(ref json, start?.PromptTokens ?? 0, 0, 0);
        json.Raw("}}\n\n"u8);
        json.Complete();
    }
}
