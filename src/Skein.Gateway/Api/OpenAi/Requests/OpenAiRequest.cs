namespace Skein.Gateway.Api.OpenAi.Requests;

/// <summary>A request body as read: the request for the session, and what only the answer or <see cref="RequestMembers"/> needs.</summary>
internal sealed class OpenAiRequest
{
    /// <summary>The request for the session. Its verbatim parts reference the body.</summary>
    public GenerateRequest Generate { get; } = new() { N = 1 };

    /// <summary>Several prompts; null: one, which <see cref="Generate"/> has.</summary>
    public List<CompletionPrompt>? Prompts { get; set; }

    public bool Stream { get; set; }

    public bool IncludeUsage { get; set; }

    public bool? Logprobs { get; set; }

    public uint? TopLogprobs { get; set; }

    public uint? MaxTokens { get; set; }

    public uint? MaxCompletionTokens { get; set; }

    public Sampling Sampling => Generate.Sampling ??= new Sampling();

    public ChatPrompt Chat => Generate.Chat ??= new ChatPrompt();
}
