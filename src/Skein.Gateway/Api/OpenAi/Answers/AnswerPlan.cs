using Skein.Gateway.Api.Http;
using Skein.Gateway.Api.OpenAi.Requests;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary>What an answer depends on in its request. Taken before the session owns the request. Immutable.</summary>
/// <param name="Model">The model that the client named; empty if it named none.</param>
/// <param name="Created">Unix time in seconds.</param>
/// <param name="EchoedCharacters">Code points of the prompt that precede the answer; null if the prompt came as ids: the start frame has them.</param>
/// <param name="CallsFunctions">Whether the client uses functions, the predecessor of tools, which have a finish reason of their own.</param>
internal sealed record AnswerPlan(
    AnswerFormat Format, string Model, int Choices, bool WithLogprobs, bool IncludeUsage, long Created, int? EchoedCharacters, bool CallsFunctions)
{
    public static AnswerPlan For(OpenAiRequest request, AnswerFormat format, DateTimeOffset now) => new(
        format, request.Generate.Model, (int)request.Generate.N, request.Generate.HasLogprobs, request.IncludeUsage, now.ToUnixTimeSeconds(),
        EchoOf(request.Generate), request.Generate.Chat is { Tools.IsEmpty: true } && request.Generate.Extra.Any(member => member.Name == "functions"));

    /// <summary>Writes what every object of the answer begins with, up to the start of its <c>choices</c>.</summary>
    public byte[] WriteHead(string objectName, string sessionId, Start start)
    {
        var bytes = new ArrayBufferWriter<byte>(320);
        var json = new JsonSink(bytes);
        json.Raw("{\"id\":"u8);
        json.Text(Format.IdPrefix + sessionId);
        json.Raw(",\"object\":"u8);
        json.Text(objectName);
        json.Raw(",\"created\":"u8);
        json.Number(Created);
        json.Raw(",\"model\":"u8);
        json.Text(start.Model.Length > 0 ? start.Model : Model);
        // Engines of others say it in their events.
        if (start.SystemFingerprint.Length > 0)
        {
            json.Raw(",\"system_fingerprint\":"u8);
            json.Text(start.SystemFingerprint);
        }

        json.Raw(",\"choices\":["u8);
        json.Complete();
        return bytes.WrittenSpan.ToArray();
    }

    private static int? EchoOf(GenerateRequest request) => request switch
    {
        { Echo: false } or { HasLogprobs: false } => 0,
        { TokenIds: not null } => null,
        _ => request.Text.EnumerateRunes().Count(),
    };
}
