using Skein.Gateway.Api.Chats;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.OpenAi.Responses.Answers;

/// <summary>Writes an answer as the typed and numbered events of a response.</summary>
internal sealed class ResponseEventWriter : IEventWriter, IAnswerItemSink
{
    private readonly ResponseFormat _format;
    private readonly AnswerItems _items;
    private bool _isOpen;
    private int _next;

    public ResponseEventWriter(ResponsePlan plan, string sessionId)
    {
        _format = new ResponseFormat(plan, sessionId);
        _items = new AnswerItems(sessionId, withReasoning: true, this);
    }

    public void Write(GenerateFrame frame, IBufferWriter<byte> output) => _items.Add(frame, output);

    public void Complete(IBufferWriter<byte> output, string? comment)
    {
        Open(output);
        if (comment is not null)
            output.Write(Encoding.ASCII.GetBytes(comment.TrimEnd() + "\n"));
        var status = ResponseFormat.StatusOf(_items.Finish);
        WriteResponse(status == ResponseFormat.Incomplete ? "response.incomplete"u8 : "response.completed"u8, status, output);
    }

    public void KeepAlive(IBufferWriter<byte> output, ReadOnlySpan<byte> comment)
    {
        output.Write(comment);
        if (!Open(output))
            WriteResponse("response.in_progress"u8, ResponseFormat.InProgress, output);
    }

    public void Fail(ApiError error, IBufferWriter<byte> output)
    {
        Open(output);
        WriteResponse("response.failed"u8, ResponseFormat.Failed, output, error);
    }

    public void Begin(AnswerItem item, IBufferWriter<byte> output)
    {
        Open(output);
        var json = BeginEvent("response.output_item.added"u8, output);
        WriteIndex(ref json, item);
        json.Raw(",\"item\":"u8);
        _format.WriteItem(ref json, item, ResponseFormat.InProgress);
        EndEvent(ref json);
        if (item.Kind != AnswerItemKind.Call)
            WritePart("response.content_part.added"u8, item, default, [], output);
    }

    public void Append(AnswerItem item, ReadOnlySpan<byte> added, IReadOnlyList<TokenLogprob> logprobs, IBufferWriter<byte> output)
    {
        // The text of a custom tool is known when its call is whole.
        if (item.Kind == AnswerItemKind.Call && _format.IsCustom(item))
            return;
        var json = BeginEvent(DeltaEvent(item), output);
        WritePlace(ref json, item);
        json.Raw(",\"delta\":"u8);
        json.Text(added);
        if (item.Kind == AnswerItemKind.Text)
            _format.WriteLogprobs(ref json, logprobs);
        EndEvent(ref json);
    }

    public void End(AnswerItem item, IBufferWriter<byte> output)
    {
        if (item.Kind == AnswerItemKind.Call)
            EndCall(item, output);
        else
            EndText(item, output);
        var json = BeginEvent("response.output_item.done"u8, output);
        WriteIndex(ref json, item);
        json.Raw(",\"item\":"u8);
        _format.WriteItem(ref json, item, ResponseFormat.StatusOf(_items.Finish));
        EndEvent(ref json);
        _format.Keep(item);
    }

    private void EndCall(AnswerItem call, IBufferWriter<byte> output)
    {
        var isCustom = _format.IsCustom(call);
        var content = _format.CallContent(call);
        if (isCustom || call.Content.IsEmpty)
        {
            var delta = BeginEvent(DeltaEvent(call), output);
            WritePlace(ref delta, call);
            delta.Raw(",\"delta\":"u8);
            delta.Text(content);
            EndEvent(ref delta);
        }

        var json = BeginEvent(isCustom ? "response.custom_tool_call_input.done"u8 : "response.function_call_arguments.done"u8, output);
        WritePlace(ref json, call);
        json.Raw(",\"name\":"u8);
        json.Text(_format.NameOf(call));
        json.Raw(isCustom ? ",\"input\":"u8 : ",\"arguments\":"u8);
        json.Text(content);
        EndEvent(ref json);
    }

    private void EndText(AnswerItem item, IBufferWriter<byte> output)
    {
        var json = BeginEvent(
            item.Kind switch
            {
                AnswerItemKind.Reasoning => "response.reasoning_text.done"u8,
                AnswerItemKind.Refusal => "response.refusal.done"u8,
                _ => "response.output_text.done"u8,
            },
            output);
        WritePlace(ref json, item);
        json.Raw(item.Kind == AnswerItemKind.Refusal ? ",\"refusal\":"u8 : ",\"text\":"u8);
        json.Text(item.Content);
        if (item.Kind == AnswerItemKind.Text)
            _format.WriteLogprobs(ref json, item.Logprobs);
        EndEvent(ref json);
        WritePart("response.content_part.done"u8, item, item.Content, item.Logprobs, output);
    }

    private ReadOnlySpan<byte> DeltaEvent(AnswerItem item) => item.Kind switch
    {
        AnswerItemKind.Reasoning => "response.reasoning_text.delta"u8,
        AnswerItemKind.Refusal => "response.refusal.delta"u8,
        AnswerItemKind.Call => _format.IsCustom(item) ? "response.custom_tool_call_input.delta"u8 : "response.function_call_arguments.delta"u8,
        _ => "response.output_text.delta"u8,
    };

    private void WritePart(ReadOnlySpan<byte> name, AnswerItem item, ReadOnlySpan<byte> text, IReadOnlyList<TokenLogprob> logprobs, IBufferWriter<byte> output)
    {
        var json = BeginEvent(name, output);
        WritePlace(ref json, item);
        json.Raw(",\"part\":"u8);
        _format.WritePart(ref json, item, text, logprobs);
        EndEvent(ref json);
    }

    private void WritePlace(scoped ref JsonSink json, AnswerItem item)
    {
        json.Raw(",\"item_id\":"u8);
        json.Text(_format.IdOf(item));
        WriteIndex(ref json, item);
        if (item.Kind != AnswerItemKind.Call)
            json.Raw(",\"content_index\":0"u8);
    }

    private static void WriteIndex(scoped ref JsonSink json, AnswerItem item)
    {
        json.Raw(",\"output_index\":"u8);
        json.Number(item.Index);
    }

    private bool Open(IBufferWriter<byte> output)
    {
        if (_isOpen)
            return false;
        _isOpen = true;
        WriteResponse("response.created"u8, ResponseFormat.InProgress, output);
        WriteResponse("response.in_progress"u8, ResponseFormat.InProgress, output);
        return true;
    }

    private void WriteResponse(ReadOnlySpan<byte> name, string status, IBufferWriter<byte> output, ApiError? error = null)
    {
        var json = BeginEvent(name, output);
        json.Raw(",\"response\":"u8);
        _format.Write(ref json, status, _items, error);
        EndEvent(ref json);
    }

    private JsonSink BeginEvent(ReadOnlySpan<byte> name, IBufferWriter<byte> output)
    {
        var json = new JsonSink(output);
        json.Raw("event: "u8);
        json.Raw(name);
        json.Raw("\ndata: {\"type\":\""u8);
        json.Raw(name);
        json.Raw("\",\"sequence_number\":"u8);
        json.Number(_next++);
        return json;
    }

    private static void EndEvent(scoped ref JsonSink json)
    {
        json.Raw("}\n\n"u8);
        json.Complete();
    }
}
