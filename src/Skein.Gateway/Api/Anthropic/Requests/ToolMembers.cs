using Google.Protobuf;
using Skein.Gateway.Api.Chats;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.Anthropic.Requests;

/// <summary>
/// Translates <c>tools</c> and <c>tool_choice</c>. Tools that Anthropic defines or runs (web search, bash, computer use) have no schema that an engine knows:
/// they are left out, and a request that demands one is refused.
/// </summary>
internal static class ToolMembers
{
    public static void Settle(MessagesRequest request)
    {
        var tools = new ChatTools();
        foreach (var tool in request.Tools?.Elements("an array of tools") ?? [])
        {
            if (IsLeftOut(tool.AsObject("an object with name and input_schema").Find("type")))
                continue;
            tools.Add(
                tool,
                tool.Require("name", "a string").Text(),
                tool.Find("description") is { } description ? description.RawText() : default,
                tool.Require("input_schema", "a JSON schema").AsObject("a JSON schema").Raw,
                tool.Find("strict")?.Flag() ?? false);
        }

        request.Chat.Tools = tools.ToJson();
        if (request.ToolChoice is not { } choice)
            return;
        var type = choice.AsObject("an object with the type auto, any, tool or none").Require("type", "auto, any, tool, none");
        var isSerial = choice.Find("disable_parallel_tool_use")?.Flag() == true;
        var chosen = type.Text() switch
        {
            "auto" => ByteString.CopyFromUtf8("\"auto\""),
            "any" => ByteString.CopyFromUtf8("\"required\""),
            "none" => ByteString.CopyFromUtf8("\"none\""),
            "tool" => Named(choice, tools),
            _ => throw type.NotAllowed("auto, any, tool, none"),
        };
        if (tools.IsEmpty)
        {
            if (type.Text() == "any")
                throw type.NotAllowed("auto or none: the request has no tool that the model could call here");
            return;
        }

        request.Chat.ToolChoice = chosen;
        if (isSerial)
            request.Generate.Extra.Add(new RawMember { Name = "parallel_tool_calls", Json = ByteString.CopyFromUtf8("false") });
    }

    // Types of Anthropic's tools have a date, such as bash_20250124, but these two.
    private static bool IsLeftOut(JsonPart? type) => type?.Text() switch
    {
        null or "custom" => false,
        "mcp_toolset" => true,
        var name when name.StartsWith("tool_search_tool_", StringComparison.Ordinal) => true,
        [.., '_', _, _, _, _, _, _, _, _] name when name[^8..].All(char.IsAsciiDigit) => true,
        _ => throw type.Value.NotAllowed("custom, or a tool that Anthropic runs or defines, which is left out"),
    };

    private static ByteString Named(JsonPart choice, ChatTools tools)
    {
        var name = choice.Require("name", "the name of a tool");
        return tools.Contains(name.Text())
            ? ChatTools.Choose(name.Text())
            : throw name.NotAllowed("the name of one of the request's tools that has an input_schema");
    }
}
