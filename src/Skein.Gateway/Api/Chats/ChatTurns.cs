using Google.Protobuf;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.Chats;

/// <summary>
/// Writes a conversation of another API as the messages of a chat, in the form that engines take. Adjacent parts of one side become one message, because
/// many chat templates refuse two in a row. Texts are JSON strings with their quotes: they are copied, not read. Not thread-safe.
/// </summary>
internal sealed class ChatTurns
{
    private readonly ArrayBufferWriter<byte> _messages = new(4096);
    private readonly JsonTextBuffer _system = new();
    private readonly JsonTextBuffer _text = new();
    private readonly JsonTextBuffer _reasoning = new();
    private readonly ArrayBufferWriter<byte> _parts = new();
    private readonly ArrayBufferWriter<byte> _calls = new();
    private Side _side;
    private bool _hasAnswers;
    private bool _startsMessage;

    private enum Side
    {
        None,
        User,
        Assistant,
    }

    /// <summary>Whether the last message is one of the assistant without calls.</summary>
    public bool EndsWithAnswer { get; private set; }

    /// <summary>
    /// Adds instructions. Before the first answer they belong to the one system message at the start. Later ones become part of the user's turn, marked as a
    /// reminder: many templates refuse a system message that is not the first, and a changed first message would empty the engine's prefix cache.
    /// </summary>
    public void AddInstructions(ReadOnlySpan<byte> text)
    {
        if (!_hasAnswers)
        {
            _system.AppendParagraph(text);
            return;
        }

        Begin(Side.User);
        _text.BeginParagraph();
        _text.AppendEscaped("<system-reminder>\\n"u8);
        _text.Append(text);
        _text.AppendEscaped("\\n</system-reminder>"u8);
    }

    public void AddUserText(ReadOnlySpan<byte> text)
    {
        Begin(Side.User);
        _text.AppendParagraph(text);
    }

    /// <summary>Adds a content part that is not text, as its JSON object.</summary>
    public void AddUserPart(ReadOnlySpan<byte> part)
    {
        Begin(Side.User);
        FlushText();
        AddElement(_parts, part);
    }

    /// <summary>Begins a message of the assistant: its text does not continue the text before it.</summary>
    public void BeginAnswer()
    {
        Begin(Side.Assistant);
        _startsMessage = true;
    }

    public void AddAnswerText(ReadOnlySpan<byte> text)
    {
        Begin(Side.Assistant);
        if (_startsMessage)
            _text.BeginParagraph();
        _startsMessage = false;
        _text.Append(text);
    }

    public void AddReasoning(ReadOnlySpan<byte> text)
    {
        Begin(Side.Assistant);
        _reasoning.AppendParagraph(text);
    }

    /// <summary>Adds a call of a tool by the assistant.</summary>
    /// <param name="id">A JSON string, as <paramref name="name"/> is.</param>
    /// <param name="arguments">A JSON string that contains JSON.</param>
    public void AddCall(ReadOnlySpan<byte> id, ReadOnlySpan<byte> name, ReadOnlySpan<byte> arguments)
    {
        Begin(Side.Assistant);
        AddElement(_calls, [
            .. "{\"id\":"u8, .. id, .. ",\"type\":\"function\",\"function\":{\"name\":"u8, .. name, .. ",\"arguments\":"u8, .. arguments, .. "}}"u8]);
    }

    /// <summary>Adds the result of a call.</summary>
    public void AddResult(ReadOnlySpan<byte> callId, ReadOnlySpan<byte> text)
    {
        End();
        _hasAnswers = true;
        AddElement(_messages, [.. "{\"role\":\"tool\",\"tool_call_id\":"u8, .. callId, .. ",\"content\":"u8, .. text, .. "}"u8]);
        EndsWithAnswer = false;
    }

    /// <summary>The messages as a JSON array; empty if there are none but instructions. Nothing can be added afterwards.</summary>
    public ByteString ToMessages()
    {
        End();
        if (_messages.WrittenCount == 0)
            return ByteString.Empty;
        var head = _system.IsEmpty ? [] : (byte[])[.. "{\"role\":\"system\",\"content\":"u8, .. _system.ToJson(), .. "},"u8];
        return UnsafeByteOperations.UnsafeWrap((byte[])[(byte)'[', .. head, .. _messages.WrittenSpan, (byte)']']);
    }

    private void Begin(Side side)
    {
        if (_side == side)
            return;
        End();
        _side = side;
        _hasAnswers |= side == Side.Assistant;
    }

    private void End()
    {
        switch (_side)
        {
            case Side.User:
                EndUser();
                break;
            case Side.Assistant:
                EndAssistant();
                break;
        }

        _side = Side.None;
        _text.Clear();
        _reasoning.Clear();
        _parts.ResetWrittenCount();
        _calls.ResetWrittenCount();
    }

    private void EndUser()
    {
        EndsWithAnswer = false;
        if (_parts.WrittenCount == 0)
        {
            AddElement(_messages, [.. "{\"role\":\"user\",\"content\":"u8, .. _text.ToJson(), .. "}"u8]);
            return;
        }

        FlushText();
        AddElement(_messages, [.. "{\"role\":\"user\",\"content\":["u8, .. _parts.WrittenSpan, .. "]}"u8]);
    }

    private void EndAssistant()
    {
        var hasCalls = _calls.WrittenCount > 0;
        EndsWithAnswer = !hasCalls;
        AddElement(_messages, [
            .. "{\"role\":\"assistant\",\"content\":"u8, .. hasCalls && _text.IsEmpty ? "null"u8 : _text.ToJson(),
            .. _reasoning.IsEmpty ? [] : (byte[])[.. ",\"reasoning_content\":"u8, .. _reasoning.ToJson()],
            .. hasCalls ? (byte[])[.. ",\"tool_calls\":["u8, .. _calls.WrittenSpan, (byte)']'] : [], (byte)'}']);
    }

    private void FlushText()
    {
        if (_text.IsEmpty)
            return;
        AddElement(_parts, [.. "{\"type\":\"text\",\"text\":"u8, .. _text.ToJson(), (byte)'}']);
        _text.Clear();
    }

    private static void AddElement(ArrayBufferWriter<byte> list, ReadOnlySpan<byte> element)
    {
        if (list.WrittenCount > 0)
            list.Write(","u8);
        list.Write(element);
    }
}
