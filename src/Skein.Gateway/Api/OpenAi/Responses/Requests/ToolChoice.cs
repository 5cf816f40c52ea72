using Google.Protobuf;
using Skein.Gateway.Api.Chats;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.OpenAi.Responses.Requests;

/// <summary>Which tools the model may or must call. Immutable.</summary>
/// <param name="choice">The value, or the mode of a list of allowed tools; null: the request says nothing.</param>
/// <param name="named">The one function that must be called; null: none.</param>
/// <param name="allowed">The functions that may be called; null: all.</param>
internal sealed class ToolChoice(JsonPart? choice, JsonPart? named = null, IReadOnlySet<string>? allowed = null)
{
    private const string Allowed = "none, auto, required, or an object with the type function, custom or allowed_tools";

    public static readonly ToolChoice Auto = new(choice: null);

    public static ToolChoice Read(JsonPart choice)
    {
        if (choice.Value.ValueKind == JsonValueKind.String)
            return choice.Text() is "none" or "auto" or "required" ? new ToolChoice(choice) : throw choice.NotAllowed(Allowed);
        var type = choice.AsObject(Allowed).Require("type", "function, custom, allowed_tools");
        return type.Text() switch
        {
            "function" or "custom" => new ToolChoice(choice, named: choice),
            "allowed_tools" => new ToolChoice(
                choice.Require("mode", "auto, required"),
                allowed: choice.Require("tools", "an array of tools").Elements("an array of tools").Select(FunctionOf).ToHashSet(StringComparer.Ordinal)),
            // OpenAI's own tools do not exist here.
            _ => throw type.NotAllowed("function, custom, allowed_tools"),
        };
    }

    public bool Allows(string function) => allowed is null || allowed.Contains(function);

    /// <summary>The choice in the form of chats; empty if there is none.</summary>
    public ByteString ToJson(ToolCatalog tools)
    {
        if (named is { } tool)
        {
            var function = FunctionOf(tool);
            return tools.Offers(function)
                ? ChatTools.Choose(function)
                : throw tool.Require("name", "a string").NotAllowed("the name of one of the request's tools");
        }

        if (choice is not { } value)
            return ByteString.Empty;
        if (!tools.IsEmpty)
            return value.ToBytes();
        // Engines refuse a choice without tools.
        return value.Text() == "required"
            ? throw value.NotAllowed("none or auto: the request has no tool that the model could call here")
            : ByteString.Empty;
    }

    private static string FunctionOf(JsonPart tool) =>
        ToolCatalog.NameOf(tool.AsObject("an object with type and name").Find("name")?.Text() ?? "", tool.Find("namespace")?.Text());
}
