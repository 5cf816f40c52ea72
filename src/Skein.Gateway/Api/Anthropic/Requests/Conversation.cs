using Google.Protobuf;
using Skein.Gateway.Api.Chats;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.Anthropic.Requests;

/// <summary>Translates <c>system</c> and <c>messages</c> into the messages of a chat. Cache hints of blocks are left out.</summary>
internal sealed class Conversation
{
    private const string Roles = "user, assistant, system";
    private const string ContentAllowed = "a string, or an array of content blocks";
    private const string BlockAllowed = "an object with a type";

    /// <summary>The first block of Claude Code's system prompt. It differs in every request, which would empty the engine's prefix cache.</summary>
    private static readonly byte[] BillingHeader = [.. "\"x-anthropic-billing-header:"u8];

    private readonly ChatTurns _turns = new();

    /// <returns>The messages, and whether the last one is an answer that the model shall continue.</returns>
    public static (ByteString Messages, bool EndsWithAnswer) Translate(JsonPart messages, JsonPart? system)
    {
        var conversation = new Conversation();
        if (system is { } instructions)
            conversation.AddInstructions(instructions);
        foreach (var message in messages.Elements("an array of messages"))
            conversation.AddMessage(message.AsObject("an object with role and content"));
        var json = conversation._turns.ToMessages();
        return (json, conversation._turns.EndsWithAnswer);
    }

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
                AddAnswer(content);
                break;
            case "system":
                AddInstructions(content);
                break;
            default:
                throw role.NotAllowed(Roles);
        }
    }

    private void AddInstructions(JsonPart content)
    {
        if (content.Value.ValueKind == JsonValueKind.String)
        {
            _turns.AddInstructions(content.Raw);
            return;
        }

        foreach (var block in content.Elements("a string, or an array of text blocks"))
        {
            var type = TypeOf(block);
            if (type.Text() != "text")
                throw type.NotAllowed("text");
            var text = block.Require("text", "a string").RawText();
            if (!text.StartsWith(BillingHeader))
                _turns.AddInstructions(text);
        }
    }

    private void AddUser(JsonPart content)
    {
        if (content.Value.ValueKind == JsonValueKind.String)
        {
            _turns.AddUserText(content.Raw);
            return;
        }

        // The results of calls follow the calls, wherever they are in the message. Engines take only texts in them.
        List<JsonPart> others = [];
        List<JsonPart> media = [];
        foreach (var block in content.Elements(ContentAllowed))
        {
            if (TypeOf(block).Text() == "tool_result")
                AddResult(block, media);
            else
                others.Add(block);
        }

        foreach (var block in media.Concat(others))
            AddUserBlock(block);
    }

    private void AddUserBlock(JsonPart block)
    {
        var type = TypeOf(block);
        switch (type.Text())
        {
            case "text":
                _turns.AddUserText(block.Require("text", "a string").RawText());
                break;
            case "image":
                _turns.AddUserPart(MediaBlocks.Image(block));
                break;
            case "document":
                AddDocument(block);
                break;
            case "search_result":
                CheckCitations(block);
                AddText(block.Find("source"));
                AddText(block.Find("title"));
                AddTexts(block.Require("content", "an array of text blocks"));
                break;
            default:
                throw type.NotAllowed("text, image, document, search_result, tool_result");
        }
    }

    private void AddDocument(JsonPart block)
    {
        var source = block.Require("source", "an object").AsObject("an object with a type");
        var type = TypeOf(source);
        CheckCitations(block);
        // The title of a file is its name.
        if (type.Text() != "base64")
            AddText(block.Find("title"));
        AddText(block.Find("context"));
        switch (type.Text())
        {
            case "text":
                _turns.AddUserText(source.Require("data", "a string").RawText());
                break;
            case "content" when source.Require("content", ContentAllowed) is { Value.ValueKind: JsonValueKind.String } text:
                _turns.AddUserText(text.Raw);
                break;
            case "content":
                foreach (var inner in source.Require("content", ContentAllowed).Elements(ContentAllowed))
                    AddUserBlock(inner);
                break;
            case "base64":
                _turns.AddUserPart(MediaBlocks.File(block, source));
                break;
            default:
                throw type.NotAllowed("text, content, base64");
        }
    }

    private void AddText(JsonPart? text)
    {
        if (text is { } given)
            _turns.AddUserText(given.RawText());
    }

    // No engine cites: the answer comes without them.
    private static void CheckCitations(JsonPart block) => block.Find("citations")?.AsObject("an object with enabled").Find("enabled")?.Flag();

    private void AddTexts(JsonPart blocks)
    {
        foreach (var block in blocks.Elements("an array of text blocks"))
            _turns.AddUserText(block.AsObject(BlockAllowed).Require("text", "a string").RawText());
    }

    private void AddResult(JsonPart block, List<JsonPart> media)
    {
        var id = block.Require("tool_use_id", "the id of a tool_use block").RawText();
        var text = new JsonTextBuffer();
        // Only the text of a result reaches the model.
        if (block.Find("is_error")?.Flag() == true)
            text.AppendEscaped("Error:"u8);
        if (block.Find("content") is { Value.ValueKind: JsonValueKind.String } whole)
        {
            text.AppendParagraph(whole.Raw);
        }
        else
        {
            foreach (var inner in block.Find("content")?.Elements(ContentAllowed) ?? [])
                AddToResult(inner, text, media);
        }

        _turns.AddResult(id, text.ToJson());
    }

    private static void AddToResult(JsonPart block, JsonTextBuffer text, List<JsonPart> media)
    {
        switch (TypeOf(block).Text())
        {
            case "text":
                text.AppendParagraph(block.Require("text", "a string").RawText());
                break;
            case "tool_reference":
                text.AppendParagraph(block.Require("tool_name", "a string").RawText());
                break;
            default:
                media.Add(block);
                break;
        }
    }

    private void AddAnswer(JsonPart content)
    {
        _turns.BeginAnswer();
        if (content.Value.ValueKind == JsonValueKind.String)
        {
            _turns.AddAnswerText(content.Raw);
            return;
        }

        foreach (var block in content.Elements(ContentAllowed))
        {
            var type = TypeOf(block);
            switch (type.Text())
            {
                case "text":
                    _turns.AddAnswerText(block.Require("text", "a string").RawText());
                    break;
                case "thinking":
                    _turns.AddReasoning(block.Require("thinking", "a string").RawText());
                    break;
                case "redacted_thinking":
                    break; // encrypted by Anthropic: no engine can read it
                case "tool_use":
                    var input = block.Require("input", "an object").AsObject("an object");
                    _turns.AddCall(
                        block.Require("id", "a string").RawText(), block.Require("name", "a string").RawText(), MediaBlocks.AsText(input.Raw));
                    break;
                default:
                    throw type.NotAllowed("text, thinking, redacted_thinking, tool_use");
            }
        }
    }

    private static JsonPart TypeOf(JsonPart block) => block.AsObject(BlockAllowed).Require("type", "a string");
}
