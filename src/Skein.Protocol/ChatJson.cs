using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Google.Protobuf;
using Skein.Protocol.V1;

namespace Skein.Protocol;

/// <summary>One message of a chat.</summary>
/// <param name="Role">Normally one of <see cref="ChatJson.Roles"/>; servers know others.</param>
/// <param name="Text">The content: its string, or the texts of its text parts joined; null if it has neither.</param>
/// <param name="OtherPart">Type of the first content part that is not text; null if all are text.</param>
/// <param name="Calls">JSON of the calls that the assistant made in this message; null: none.</param>
public sealed record ChatMessage(string Role, string? Text, string? OtherPart, string? Calls = null);

/// <summary>What can be said of a chat without its texts.</summary>
/// <param name="HasOtherParts">Whether a content part is not text.</param>
/// <param name="Begun">The last message, if it is the assistant's: the beginning of the answer. Null: the answer has no beginning yet.</param>
public sealed record ChatOutline(bool HasOtherParts, ChatMessage? Begun);

/// <summary>Reads chats: roles, contents, tools and formats as OpenAI's API has them. Thread-safe.</summary>
public static partial class ChatJson
{
    /// <summary>Name of the member that holds the messages.</summary>
    public const string Messages = "messages";

    /// <summary>The roles of OpenAI's API, for error messages. Others are the engine's to judge.</summary>
    public const string Roles = "system, developer, user, assistant, tool, function";

    private static readonly JsonElement Null = JsonElement.Parse("null"u8);
    private static readonly JsonReaderOptions Strict = new() { MaxDepth = RequestLimits.JsonDepth };

    /// <summary>The messages of a chat.</summary>
    /// <exception cref="ChatJsonException">The JSON is broken or not a chat.</exception>
    public static IReadOnlyList<ChatMessage> Read(ByteString messages)
    {
        using var document = ParseMessages(messages);
        try
        {
            return [.. document.RootElement.EnumerateArray().Select((message, index) => ReadMessage(message, index, copiesText: true))];
        }
        catch (InvalidOperationException exception)
        {
            throw HalfSurrogate(Messages, exception);
        }
    }

    /// <summary>The outline of a chat. The checks are those of <see cref="Read"/>; the texts are not copied.</summary>
    /// <exception cref="ChatJsonException">The JSON is broken or not a chat.</exception>
    public static ChatOutline Outline(ByteString messages)
    {
        using var document = ParseMessages(messages);
        try
        {
            return OutlineOf(document.RootElement);
        }
        catch (InvalidOperationException exception)
        {
            throw HalfSurrogate(Messages, exception);
        }
    }

    private static ChatOutline OutlineOf(JsonElement messages)
    {
        var hasOtherParts = false;
        ChatMessage? last = null;
        var left = messages.GetArrayLength();
        foreach (var (index, message) in messages.EnumerateArray().Index())
        {
            last = ReadMessage(message, index, copiesText: --left == 0);
            hasOtherParts |= last.OtherPart is not null;
        }

        return new ChatOutline(hasOtherParts, last is { Role: "assistant" } ? last : null);
    }

    private static JsonDocument ParseMessages(ByteString messages)
    {
        try
        {
            var reader = new Utf8JsonReader(messages.Span, Strict);
            reader.Read();
            Check(ref reader);
        }
        catch (JsonException exception)
        {
            throw NotJson(Messages, exception);
        }

        return Parse(messages, Messages);
    }

    /// <summary>Whether there are tools that the model may call.</summary>
    /// <exception cref="ChatJsonException">The JSON is broken, or the tools are not an array.</exception>
    public static bool OffersTools(ChatPrompt chat) => HasTools(chat.Tools) && !Inspect(
        chat.ToolChoice, "tool_choice", static choice => choice.ValueKind == JsonValueKind.String && choice.ValueEquals("none"u8));

    /// <summary>Whether tools are given at all.</summary>
    /// <exception cref="ChatJsonException">The JSON is broken, or the tools are not an array.</exception>
    public static bool HasTools(ByteString tools) => Inspect(tools, "tools", static list => list.ValueKind switch
    {
        JsonValueKind.Null => false,
        JsonValueKind.Array => list.GetArrayLength() > 0,
        _ => throw new ChatJsonException(ChatJsonProblem.WrongType, "tools", $"{list.ValueKind} is not an array; allowed: an array"),
    });

    /// <summary>Whether the answer must be a call: <c>tool_choice</c> is neither absent nor "auto" nor "none".</summary>
    /// <exception cref="ChatJsonException">The JSON is broken.</exception>
    public static bool RequiresTool(ByteString toolChoice) => Inspect(toolChoice, "tool_choice", static choice =>
        choice.ValueKind != JsonValueKind.Null
        && !(choice.ValueKind == JsonValueKind.String && (choice.ValueEquals("auto"u8) || choice.ValueEquals("none"u8))));

    /// <summary>Whether <c>response_format</c> asks for anything but plain text.</summary>
    /// <exception cref="ChatJsonException">The JSON is broken.</exception>
    public static bool RequiresFormat(ByteString responseFormat) => Inspect(responseFormat, "response_format", static format =>
        format.ValueKind != JsonValueKind.Null
        && !(Member(format, "type") is { ValueKind: JsonValueKind.String } type && type.ValueEquals("text"u8)));

    private static bool Inspect(ByteString json, string field, Func<JsonElement, bool> predicate)
    {
        // An absent member is read as null.
        if (json.IsEmpty)
            return predicate(Null);
        using var document = Parse(json, field);
        try
        {
            return predicate(document.RootElement);
        }
        catch (InvalidOperationException exception)
        {
            // Half of a pair is found when it is compared.
            throw HalfSurrogate(field, exception);
        }
    }

    // Names with escapes pass the check unseen: types are checked again here.
    private static ChatMessage ReadMessage(JsonElement message, int index, bool copiesText)
    {
        var role = ReadText(message.GetProperty("role"), new MemberPath(index, "role"), copies: true);
        var calls = CallsOf(message);
        if (!message.TryGetProperty("content", out var content) || content.ValueKind == JsonValueKind.Null)
        {
            // An assistant that refused has its words here instead.
            var refusal = Present(message, "refusal") is { } words
                ? ReadText(words, new MemberPath(index, "refusal"), copiesText)
                : null;
            return new ChatMessage(role, refusal, OtherPart: null, calls);
        }

        if (content.ValueKind != JsonValueKind.Array)
            return new ChatMessage(role, ReadText(content, new MemberPath(index, "content"), copiesText), OtherPart: null, calls);
        var text = new StringBuilder();
        string? otherPart = null;
        var parts = 0;
        foreach (var part in content.EnumerateArray())
        {
            var path = new MemberPath(index, "content", parts++, "type");
            var type = Present(part, "type") is { } typed ? ReadText(typed, path, copies: true)
                : Present(part, "text") is null && FirstNameOf(part) is { } other ? other
                : "text";
            path = path with { PartMember = type };
            if (type is "text" or "refusal")
                text.Append(Present(part, type) is { } piece ? ReadText(piece, path, copiesText) : throw Missing(path.ToString(), "a string"));
            else
                otherPart ??= type;
        }

        return new ChatMessage(role, text.ToString(), otherPart, calls);
    }

    /// <summary>What stands for the type of a part that has neither a type nor a text; null: nothing.</summary>
    private static string? FirstNameOf(JsonElement part) =>
        part.ValueKind == JsonValueKind.Object ? part.EnumerateObject().Select(member => member.Name).FirstOrDefault(name => name != "type") : null;

    private static string? CallsOf(JsonElement message) =>
        Member(message, "tool_calls") is { ValueKind: JsonValueKind.Array } calls && calls.GetArrayLength() > 0 ? calls.GetRawText()
        : Member(message, "function_call") is { ValueKind: JsonValueKind.Object } call ? call.GetRawText()
        : null;

    private static JsonElement? Member(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var member) ? member : null;

    /// <summary>A member; null if it is absent or null.</summary>
    private static JsonElement? Present(JsonElement element, string name) =>
        Member(element, name) is { ValueKind: not JsonValueKind.Null } member ? member : null;

    /// <param name="copies">False: the text is only checked, and "" returned.</param>
    private static string ReadText(JsonElement element, MemberPath path, bool copies)
    {
        if (element.ValueKind != JsonValueKind.String)
            throw new ChatJsonException(ChatJsonProblem.WrongType, path.ToString(), $"{element.ValueKind} is not a string; allowed: a string");
        var json = JsonMarshal.GetRawUtf8Value(element);
        if (!copies && Utf8.IsValid(json) && json.IndexOf("\\u"u8) < 0)
            return "";
        try
        {
            return element.GetString()!;
        }
        catch (InvalidOperationException exception)
        {
            throw HalfSurrogate(path.ToString(), exception);
        }
    }

    private static JsonDocument Parse(ByteString json, string field)
    {
        try
        {
            return JsonDocument.Parse(json.Memory, new JsonDocumentOptions { MaxDepth = RequestLimits.JsonDepth });
        }
        catch (JsonException exception)
        {
            throw NotJson(field, exception);
        }
    }

    private static string PathOf(int index, string member) => new MemberPath(index, member).ToString();

    private static ChatJsonException NotA(ref Utf8JsonReader reader, string path, string expected, string allowed) =>
        new(ChatJsonProblem.WrongType, path, $"{JsonExcerpt.Of(ref reader)} is not {expected}; allowed: {allowed}");

    private static ChatJsonException Missing(string path, string required) => new(ChatJsonProblem.Missing, path, $"missing; required: {required}");

    private static ChatJsonException HalfSurrogate(string path, Exception cause) =>
        new(ChatJsonProblem.WrongValue, path, SurrogateEscapes.Problem, cause);

    private static ChatJsonException NotJson(string field, JsonException exception) => new(
        ChatJsonProblem.WrongValue,
        field,
        $"not valid JSON (line {exception.LineNumber + 1}, byte {exception.BytePositionInLine + 1}); allowed: JSON of depth {RequestLimits.JsonDepth} at most",
        exception);

    /// <summary>A member of a message, or of a part of its content, for errors.</summary>
    private readonly record struct MemberPath(int Index, string Member, int? Part = null, string? PartMember = null)
    {
        public override string ToString() => $"{Messages}[{Index}].{Member}{(Part is null ? "" : $"[{Part}].{PartMember}")}";
    }
}

/// <summary>What is wrong with a member of a chat.</summary>
public enum ChatJsonProblem
{
    WrongType,

    /// <summary>The value has the right type and is not allowed.</summary>
    WrongValue,
    Missing,
}

/// <summary>A chat cannot be read. The message names the member, its value and what is allowed.</summary>
/// <param name="field">Path of the member, such as <c>messages[0].role</c>.</param>
/// <param name="message">The problem in words, without the path.</param>
public sealed class ChatJsonException(ChatJsonProblem problem, string field, string message, Exception? innerException = null)
    : FormatException($"{field}: {message}", innerException)
{
    public ChatJsonProblem Problem { get; } = problem;

    public string Field { get; } = field;
}
