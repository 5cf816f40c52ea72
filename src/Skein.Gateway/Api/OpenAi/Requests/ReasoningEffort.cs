using Google.Protobuf;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.OpenAi.Requests;

/// <summary>How much a model should think, as engines take it: <c>reasoning_effort</c> of chats.</summary>
internal static class ReasoningEffort
{
    private const string Name = "reasoning_effort";

    // The levels above have no equal in engines, which refuse unknown ones.
    public static void Add(GenerateRequest request, JsonPart effort)
    {
        var level = effort.Text() is "xhigh" or "max" ? ByteString.CopyFromUtf8("\"high\"") : effort.ToBytes();
        if (!request.Extra.Any(member => member.Name == Name))
            request.Extra.Add(new RawMember { Name = Name, Json = level });
    }
}
