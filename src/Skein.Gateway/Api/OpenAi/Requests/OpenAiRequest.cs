using Skein.Protocol.V1;

namespace Skein.Gateway.Api.OpenAi.Requests;

/// <summary>A client's request, read: what goes to the session, and what only its answer needs.</summary>
internal sealed class OpenAiRequest
{
    /// <summary>The message for the session. Its verbatim parts alias the body.</summary>
    public GenerateRequest Generate { get; } = new() { N = 1 };

    public bool Stream { get; set; }

    public bool IncludeUsage { get; set; }

    /// <summary>Members that mean something only together, as the client sent them; <see cref="RequestMembers"/> decides at the end.</summary>
    public bool? LogprobsWanted { get; set; }

    /// <inheritdoc cref="LogprobsWanted"/>
    public uint? TopLogprobs { get; set; }

    /// <inheritdoc cref="LogprobsWanted"/>
    public uint? MaxTokens { get; set; }

    /// <inheritdoc cref="LogprobsWanted"/>
    public uint? MaxCompletionTokens { get; set; }

    public Sampling Sampling => Generate.Sampling ??= new Sampling();

    public ChatPrompt Chat => Generate.Chat ??= new ChatPrompt();
}
