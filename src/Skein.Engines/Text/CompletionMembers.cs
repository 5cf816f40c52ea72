using System.Text.Json;
using Google.Protobuf;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Text;

/// <summary>
/// Members of OpenAI's completions that make another answer of the same prompt: an engine that cannot do them must say so, because an answer that ignores
/// them looks right and is not.
/// </summary>
internal static class CompletionMembers
{
    private const int MostShown = 40;

    /// <exception cref="FaultException"><c>best_of</c> is above 1, or <c>suffix</c> is not empty.</exception>
    public static void RefuseBestOfAndSuffix(GenerateRequest request)
    {
        foreach (var member in request.Extra)
        {
            switch (member.Name)
            {
                case "best_of" when !IsOneOrNull(member.Json):
                    throw Refused(member, "1: this engine makes one answer and has no choice among several");
                case "suffix" when !IsEmptyOrNull(member.Json):
                    throw Refused(member, "empty: this engine continues a text and cannot fill one in");
            }
        }
    }

    private static bool IsOneOrNull(ByteString json) =>
        Parse(json) is { } value && (value.ValueKind == JsonValueKind.Null || (value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var count) && count <= 1));

    private static bool IsEmptyOrNull(ByteString json) =>
        Parse(json) is { } value && (value.ValueKind == JsonValueKind.Null || (value.ValueKind == JsonValueKind.String && value.ValueEquals("")));

    private static JsonElement? Parse(ByteString json)
    {
        try
        {
            return JsonElement.Parse(json.Span);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static FaultException Refused(RawMember member, string allowed)
    {
        var json = member.Json.ToStringUtf8();
        var shown = json.Length <= MostShown ? json : json[..MostShown] + "…";
        return new FaultException(Fault.InvalidRequest, $"{member.Name} is {shown}; allowed: {allowed}");
    }
}
