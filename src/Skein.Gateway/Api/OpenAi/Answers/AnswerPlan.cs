using Skein.Gateway.Api.Http;
using Skein.Gateway.Api.OpenAi.Requests;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary>What an answer depends on in its request. Taken before the session owns the request. Immutable.</summary>
/// <param name="Model">The model that the client named; empty if it named none.</param>
/// <param name="Created">Unix time in seconds.</param>
/// <param name="ChoicesPerPrompt">The client's <c>n</c>: choice number = prompt x n + i.</param>
/// <param name="Choices">Of all prompts together.</param>
/// <param name="EchoedCharacters">
/// Code points of each prompt that precede its answers; null if the prompt came as ids: the start frame has them. Empty: nothing precedes any answer.
/// </param>
/// <param name="CallsFunctions">Whether the client uses functions, the predecessor of tools, which have a finish reason of their own.</param>
internal sealed record AnswerPlan(
    AnswerFormat Format, string Model, int ChoicesPerPrompt, int Choices, bool WithLogprobs, bool IncludeUsage, long Created,
    IReadOnlyList<int?> EchoedCharacters, bool CallsFunctions)
{
    public static AnswerPlan For(OpenAiRequest request, AnswerFormat format, DateTimeOffset now) => new(
        format, request.Generate.Model, (int)request.Generate.N, (int)request.Generate.N * (request.Prompts?.Count ?? 1), request.Generate.HasLogprobs,
        request.IncludeUsage, now.ToUnixTimeSeconds(), EchoesOf(request),
        request.Generate.Chat is { Tools.IsEmpty: true } && request.Generate.Extra.Any(member => member.Name == "functions"));

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

    public int PromptOf(uint choice) => (int)choice / ChoicesPerPrompt;

    /// <summary>Characters that precede the answer of a choice.</summary>
    /// <param name="reported">What the start frame says of them.</param>
    public int EchoedCharactersOf(uint choice, uint reported) =>
        EchoedCharacters.Count == 0 ? 0 : EchoedCharacters[PromptOf(choice)] ?? (int)reported;

    private static IReadOnlyList<int?> EchoesOf(OpenAiRequest request) => request.Generate is { Echo: false } or { HasLogprobs: false } ? []
        : request.Prompts is { } prompts ? [.. prompts.Select(prompt => CharactersOf(prompt.Text))]
        : [request.Generate.TokenIds is null ? CharactersOf(request.Generate.Text) : null];

    private static int? CharactersOf(string? text) => text?.EnumerateRunes().Count();
}
