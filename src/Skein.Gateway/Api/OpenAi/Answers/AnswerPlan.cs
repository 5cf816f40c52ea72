using Skein.Gateway.Api.OpenAi.Requests;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary>What an answer needs to know of its request, taken before the request becomes the session's.</summary>
/// <param name="Model">As the client named it; empty where it did not.</param>
/// <param name="Created">Unix time in seconds.</param>
/// <param name="EchoedCharacters">Characters (Unicode code points) of the prompt in front of the answer; 0 where the prompt came as ids: its text is not known here.</param>
internal sealed record AnswerPlan(
    AnswerFormat Format, string Model, int Choices, bool WithLogprobs, bool IncludeUsage, long Created, int EchoedCharacters)
{
    public static AnswerPlan For(OpenAiRequest request, AnswerFormat format, DateTimeOffset now) => new(
        format, request.Generate.Model, (int)request.Generate.N, request.Generate.HasLogprobs, request.IncludeUsage, now.ToUnixTimeSeconds(),
        request.Generate is { Echo: true, HasLogprobs: true } generate ? generate.Text.EnumerateRunes().Count() : 0);
}
