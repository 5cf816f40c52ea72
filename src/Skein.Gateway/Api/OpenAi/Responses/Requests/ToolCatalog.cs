using Google.Protobuf;
using Skein.Gateway.Api.Chats;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.OpenAi.Responses.Requests;

/// <summary>A tool as the client knows it.</summary>
/// <param name="Namespace">The group that it is in; null: none.</param>
/// <param name="IsCustom">Whether it takes a text instead of JSON.</param>
internal sealed record ClientTool(string Name, string? Namespace, bool IsCustom);

/// <summary>
/// The tools of a request. Chats have only functions: functions of a namespace get its name as a prefix, and a custom tool becomes a function with one text.
/// Tools that OpenAI runs (web search, file search, code interpreter) are left out, and a request that demands one is refused. Not thread-safe while it is
/// filled.
/// </summary>
internal sealed class ToolCatalog
{
    private const string ToolAllowed = "an object with a type";
    private const string TypesAllowed = "function, custom, namespace, or a tool that OpenAI runs or defines, which is left out";

    /// <summary>Types, without their dates, of tools that OpenAI runs or whose form only its models know: answers stay right without them.</summary>
    private static readonly string[] LeftOut =
    [
        "web_search", "web_search_preview", "file_search", "code_interpreter", "image_generation", "mcp", "computer", "computer_use", "computer_use_preview",
        "local_shell", "shell", "apply_patch", "tool_search",
    ];

    private static readonly byte[] CustomParameters =
    [
        .. """{"type":"object","properties":{"input":{"type":"string","description":"The whole input of the tool."}},"required":["input"]}"""u8,
    ];

    private readonly ChatTools _tools = new();
    private readonly Dictionary<string, ClientTool> _client = new(StringComparer.Ordinal);

    public bool IsEmpty => _tools.IsEmpty;

    public ByteString ToJson() => _tools.ToJson();

    /// <summary>The tool that a function of the chat stands for.</summary>
    public ClientTool ToolOf(string function) => _client.GetValueOrDefault(function) ?? new ClientTool(function, Namespace: null, IsCustom: false);

    /// <summary>The name in the chat of a tool, whether or not the request offers it.</summary>
    public static string NameOf(string name, string? inNamespace) =>
        inNamespace is null ? name : inNamespace.EndsWith("__", StringComparison.Ordinal) ? inNamespace + name : $"{inNamespace}__{name}";

    /// <summary>Whether the request offers this tool to the model.</summary>
    public bool Offers(string function) => _tools.Contains(function);

    /// <param name="isAllowed">Whether the client lets the model call a tool, by its name in the chat.</param>
    public void Add(JsonPart tools, Func<string, bool> isAllowed)
    {
        foreach (var tool in tools.Elements("an array of tools"))
            Add(tool.AsObject(ToolAllowed), inNamespace: null, isAllowed);
    }

    private void Add(JsonPart tool, string? inNamespace, Func<string, bool> isAllowed)
    {
        var type = tool.Require("type", "a string");
        switch (type.Text())
        {
            case "function":
                AddFunction(tool, inNamespace, isAllowed);
                break;
            case "custom":
                AddCustom(tool, inNamespace, isAllowed);
                break;
            case "namespace" when inNamespace is null:
                var name = tool.Require("name", "a string").Text();
                foreach (var inner in tool.Require("tools", "an array of tools").Elements("an array of tools"))
                    Add(inner.AsObject(ToolAllowed), name, isAllowed);
                break;
            case "namespace":
                throw type.NotAllowed("function, custom: a namespace holds no other namespace");
            case var other when !LeftOut.Contains(other.TrimEnd([.. "_-0123456789"])):
                throw type.NotAllowed(TypesAllowed);
        }
    }

    private void AddFunction(JsonPart tool, string? inNamespace, Func<string, bool> isAllowed)
    {
        if (Register(tool, inNamespace, isAllowed, isCustom: false) is not { } name)
            return;
        _tools.Add(
            tool,
            name,
            tool.Find("description") is { } description ? description.RawText() : default,
            tool.Find("parameters") is { } parameters ? parameters.AsObject("a JSON schema").Raw : default,
            tool.Find("strict")?.Flag() ?? false);
    }

    private void AddCustom(JsonPart tool, string? inNamespace, Func<string, bool> isAllowed)
    {
        if (Register(tool, inNamespace, isAllowed, isCustom: true) is not { } name)
            return;
        var description = new JsonTextBuffer();
        if (tool.Find("description") is { } given)
            description.AppendParagraph(given.RawText());
        // The engine cannot hold the model to the grammar: the model is told.
        if (tool.Find("format")?.Find("definition") is { } grammar)
            description.AppendParagraph(grammar.RawText());
        _tools.Add(tool, name, description.ToJson(), CustomParameters, isStrict: false);
    }

    private string? Register(JsonPart tool, string? inNamespace, Func<string, bool> isAllowed, bool isCustom)
    {
        var own = tool.Require("name", "a string").Text();
        var name = NameOf(own, inNamespace);
        if (!isAllowed(name))
            return null;
        _client[name] = new ClientTool(own, inNamespace, isCustom);
        return name;
    }
}
