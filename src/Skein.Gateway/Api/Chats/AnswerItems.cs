using System.Runtime.InteropServices;

namespace Skein.Gateway.Api.Chats;

/// <summary>
/// Divides the frames of one choice into the parts of an answer: text is the frame's own, everything else is in the engine's deltas. The session's journal
/// bounds their size. Not thread-safe.
/// </summary>
/// <param name="sink">Is told of every part; null: the parts are only collected.</param>
/// <param name="withReasoning">Otherwise reasoning is left out.</param>
internal sealed class AnswerItems(string sessionId, bool withReasoning, IAnswerItemSink? sink = null)
{
    private readonly List<AnswerItem> _items = [];
    private AnswerItem? _open;

    public IReadOnlyList<AnswerItem> All => _items;

    public Start? Start { get; private set; }

    /// <summary>Null until the choice has finished.</summary>
    public Finish? Finish { get; private set; }

    public bool HasCalls => _items.Exists(item => item.Kind == AnswerItemKind.Call);

    /// <exception cref="InvalidDataException">The engine's delta is not of the form of OpenAI's chats.</exception>
    public void Add(GenerateFrame frame, IBufferWriter<byte> output)
    {
        Start ??= frame.Start;
        var delta = frame.RawDelta.IsEmpty ? default : Parse(frame.RawDelta.Memory);
        if (withReasoning)
            AddText(AnswerItemKind.Reasoning, TextOf(delta, "reasoning_content"u8) ?? TextOf(delta, "reasoning"u8), output);
        if (!frame.Text.IsEmpty)
            Append(Continue(AnswerItemKind.Text, output), frame.Text.Span, frame.Logprobs, output);
        AddText(AnswerItemKind.Refusal, TextOf(delta, "refusal"u8), output);
        if (Member(delta, "tool_calls"u8) is { ValueKind: JsonValueKind.Array } calls)
        {
            foreach (var piece in calls.EnumerateArray())
                AddCall(piece, output);
        }

        if (frame.Finish is not { } finish)
            return;
        Finish = finish;
        End(output);
    }

    private static JsonElement Parse(ReadOnlyMemory<byte> json)
    {
        try
        {
            return JsonElement.Parse(json.Span, new JsonDocumentOptions { MaxDepth = RequestLimits.JsonDepth });
        }
        catch (JsonException e)
        {
            throw new InvalidDataException("the replica sent a delta that is not JSON", e);
        }
    }

    private void AddText(AnswerItemKind kind, string? text, IBufferWriter<byte> output)
    {
        if (text is { Length: > 0 })
            Append(Continue(kind, output), Encoding.UTF8.GetBytes(text), [], output);
    }

    private AnswerItem Continue(AnswerItemKind kind, IBufferWriter<byte> output) =>
        _open is { } open && open.Kind == kind ? open : Begin(new AnswerItem(kind, _items.Count), output);

    private void AddCall(JsonElement piece, IBufferWriter<byte> output)
    {
        var function = Member(piece, "function"u8) ?? default;
        var number = Member(piece, "index"u8) is { ValueKind: JsonValueKind.Number } value && value.TryGetInt32(out var read) ? read : (int?)null;
        var id = TextOf(piece, "id"u8);
        var name = TextOf(function, "name"u8);
        var call = _items.FindLast(item => item.Kind == AnswerItemKind.Call && (number is null ? id is null || item.CallId == id : item.CallNumber == number));
        if (call is null)
        {
            if (name is not { Length: > 0 })
                throw new InvalidDataException("the replica sent a tool call without a name");
            var index = _items.Count;
            call = Begin(
                new AnswerItem(AnswerItemKind.Call, index)
                {
                    CallNumber = number,
                    CallId = id is { Length: > 0 } ? id : string.Create(CultureInfo.InvariantCulture, $"call_{sessionId}_{index}"),
                    Name = name,
                },
                output);
        }

        if (Member(function, "arguments"u8) is not { } arguments)
            return;
        // Some servers send an object instead of its JSON in a string.
        var added = arguments.ValueKind == JsonValueKind.String
            ? Encoding.UTF8.GetBytes(Text(arguments))
            : JsonMarshal.GetRawUtf8Value(arguments).ToArray();
        if (added.Length == 0)
            return;
        if (call.HasEnded)
            throw new InvalidDataException("the replica continued a tool call after it had begun the next part of the answer");
        Append(call, added, [], output);
    }

    private AnswerItem Begin(AnswerItem item, IBufferWriter<byte> output)
    {
        End(output);
        sink?.Begin(item, output); // what it writes before the item must not contain it
        _items.Add(item);
        _open = item;
        return item;
    }

    private void Append(AnswerItem item, ReadOnlySpan<byte> added, IReadOnlyList<TokenLogprob> logprobs, IBufferWriter<byte> output)
    {
        item.Append(added);
        item.Logprobs.AddRange(logprobs);
        sink?.Append(item, added, logprobs, output);
    }

    private void End(IBufferWriter<byte> output)
    {
        if (_open is not { } open)
            return;
        open.HasEnded = true;
        _open = null;
        sink?.End(open, output);
    }

    private static JsonElement? Member(JsonElement? of, ReadOnlySpan<byte> name) =>
        of is { ValueKind: JsonValueKind.Object } element && element.TryGetProperty(name, out var member) ? member : null;

    private static string? TextOf(JsonElement? of, ReadOnlySpan<byte> name) =>
        Member(of, name) is { ValueKind: JsonValueKind.String } text ? Text(text) : null;

    private static string Text(JsonElement text)
    {
        try
        {
            return text.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            throw new InvalidDataException("the replica sent half of a surrogate pair", e);
        }
    }
}
