using Skein.Gateway.Api.Chats;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.OpenAi.Responses.Requests;

/// <summary>Translates <c>input</c> into the messages of a chat.</summary>
/// <param name="turns">Receives the messages.</param>
/// <param name="catalog">Receives the tools that items add.</param>
/// <param name="choice">Which of them the model may call.</param>
/// <param name="kept">Items of earlier answers.</param>
internal sealed class InputItems(ChatTurns turns, ToolCatalog catalog, ToolChoice choice, KeptItems kept)
{
    private const string Roles = "user, assistant, system, developer";
    private const string ContentAllowed = "a string, or an array of content parts";
    private const string Types =
        "message, reasoning, function_call, function_call_output, custom_tool_call, custom_tool_call_output, additional_tools, item_reference";

    public void Add(JsonPart input)
    {
        if (input.Value.ValueKind == JsonValueKind.String)
        {
            turns.AddUserText(input.Raw);
            return;
        }

        foreach (var item in input.Elements("a string, or an array of items"))
            AddItem(item.AsObject("an object with a type"));
    }

    private void AddItem(JsonPart item)
    {
        var type = item.Find("type");
        switch (type?.Text())
        {
            case null or "message":
                AddMessage(item);
                break;
            case "reasoning":
                foreach (var part in item.Find("content")?.Elements("an array of parts") ?? [])
                    turns.AddReasoning(part.AsObject("an object with a text").Require("text", "a string").RawText());
                break; // encrypted by OpenAI, if there is no content: no engine can read it
            case "function_call":
                turns.AddCall(CallId(item), NameOf(item), item.Require("arguments", "a string").RawText());
                break;
            case "custom_tool_call":
                turns.AddCall(CallId(item), NameOf(item), CustomInput.ToArguments(item.Require("input", "a string").RawText()));
                break;
            case "function_call_output" or "custom_tool_call_output":
                AddOutput(item);
                break;
            case "additional_tools":
                catalog.Add(item.Require("tools", "an array of tools"), choice.Allows);
                break;
            case "item_reference":
                AddItem(Kept(item.Require("id", "a string")));
                break;
            default:
                throw type.Value.NotAllowed(Types);
        }
    }

    private JsonPart Kept(JsonPart id) => kept.Find(id.Text()) is { } json
        ? new JsonPart(JsonElement.Parse(json), id.Path)
        : throw id.NotAllowed("the id of an item that this gateway gave lately and still keeps, as each gateway keeps only its own; "
            + "send the item itself instead (with store: false most clients do), or all requests of a conversation to the same gateway");

    private void AddMessage(JsonPart message)
    {
        var role = message.Require("role", Roles);
        var content = message.Require("content", ContentAllowed);
        switch (role.Text())
        {
            case "user":
                AddUser(content);
                break;
            case "assistant":
                turns.BeginAnswer();
                foreach (var text in Texts(content))
                    turns.AddAnswerText(text.RawText());
                break;
            case "system" or "developer":
                foreach (var text in Texts(content))
                    turns.AddInstructions(text.RawText());
                break;
            default:
                throw role.NotAllowed(Roles);
        }
    }

    private static IEnumerable<JsonPart> Texts(JsonPart content) => content.Value.ValueKind == JsonValueKind.String
        ? [content]
        : content.Elements(ContentAllowed).Select(part => part.AsObject("an object with a type").Require("type", "a string") switch
        {
            var type when type.Text() is "input_text" or "output_text" or "text" => part.Require("text", "a string"),
            var type when type.Text() is "refusal" => part.Require("refusal", "a string"),
            var type => throw type.NotAllowed("input_text, output_text, refusal"),
        });

    private void AddUser(JsonPart content)
    {
        if (content.Value.ValueKind == JsonValueKind.String)
        {
            turns.AddUserText(content.Raw);
            return;
        }

        foreach (var part in content.Elements(ContentAllowed))
        {
            if (TextOf(part) is { } text)
                turns.AddUserText(text.RawText());
            else
                turns.AddUserPart(MediaParts.Translate(part));
        }
    }

    private void AddOutput(JsonPart item)
    {
        var output = item.Require("output", "a string, or an array of content parts");
        if (output.Value.ValueKind == JsonValueKind.String)
        {
            turns.AddResult(CallId(item), output.Raw);
            return;
        }

        // Engines take only texts in results: the rest follows as a message of the user.
        var result = new JsonTextBuffer();
        List<JsonPart> media = [];
        foreach (var part in output.Elements(ContentAllowed))
        {
            if (TextOf(part) is { } text)
                result.AppendParagraph(text.RawText());
            else
                media.Add(part);
        }

        turns.AddResult(CallId(item), result.ToJson());
        foreach (var part in media)
            turns.AddUserPart(MediaParts.Translate(part));
    }

    private static JsonPart? TextOf(JsonPart part) =>
        part.AsObject("an object with a type").Require("type", "a string").Text() is "input_text" or "output_text" or "text"
            ? part.Require("text", "a string")
            : null;

    private static ReadOnlySpan<byte> CallId(JsonPart item) => item.Require("call_id", "a string").RawText();

    private static ReadOnlySpan<byte> NameOf(JsonPart item)
    {
        var name = item.Require("name", "a string");
        return item.Find("namespace") is { } group ? JsonSerializer.SerializeToUtf8Bytes(ToolCatalog.NameOf(name.Text(), group.Text())) : name.RawText();
    }
}
