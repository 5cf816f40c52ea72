using Skein.Gateway.Api.OpenAi.Requests;
using Skein.Protocol.V1;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary>What an answer needs to know of its request, taken before the request becomes the session's.</summary>
/// <param name="Model">As the client named it; empty where it did not.</param>
/// <param name="Created">Unix time in seconds.</param>
/// <param name="EchoedCharacters">
/// Characters (Unicode code points) of the prompt in front of the answer; null where the prompt came as ids: the replica knows its text, and tells in its start.
/// </param>
/// <param name="CallsFunctions">The client knows functions only, which were there before tools, and has a finish reason of their own.</param>
internal sealed record AnswerPlan(
    AnswerFormat Format, string Model, int Choices, bool WithLogprobs, bool IncludeUsage, long Created, int? EchoedCharacters, bool CallsFunctions)
{
    public static AnswerPlan For(OpenAiRequest request, AnswerFormat format, DateTimeOffset now) => new(
        format, request.Generate.Model, (int)request.Generate.N, request.Generate.HasLogprobs, request.IncludeUsage, now.ToUnixTimeSeconds(),
        EchoOf(request.Generate), request.Generate.Chat is { Tools.IsEmpty: true } && request.Generate.Extra.Any(member => member.Name == "functions"));

    private static int? EchoOf(GenerateRequest request) => request switch
    {
        { Echo: false } or { HasLogprobs: false } => 0,
        { TokenIds: not null } => null,
        _ => request.Text.EnumerateRunes().Count(),
    };
}
