using Skein.Gateway.Api.Anthropic.Requests;

namespace Skein.Gateway.Api.Anthropic.Answers;

/// <summary>What an answer depends on in its request. Taken before the session owns the request. Immutable.</summary>
/// <param name="Model">The model that the client named; empty if it named none.</param>
/// <param name="ShowsThinking">Whether the client gets the model's reasoning.</param>
internal sealed record MessagePlan(string Model, bool ShowsThinking)
{
    public static MessagePlan For(MessagesRequest request) => new(request.Generate.Model, request.ShowsThinking);
}
