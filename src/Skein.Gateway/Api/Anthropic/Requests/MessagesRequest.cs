using Skein.Gateway.Api.Http;
using Skein.Gateway.Api.OpenAi.Requests;

namespace Skein.Gateway.Api.Anthropic.Requests;

/// <summary>A request body as read: the chat for the session, and what is translated after the last member.</summary>
internal sealed class MessagesRequest : OpenAiRequest
{
    public JsonPart? Messages { get; set; }

    public JsonPart? System { get; set; }

    public JsonPart? Tools { get; set; }

    public JsonPart? ToolChoice { get; set; }

    public JsonPart? Thinking { get; set; }

    public JsonPart? OutputConfig { get; set; }

    public JsonPart? OutputFormat { get; set; }

    /// <summary>The client's <c>metadata.user_id</c>.</summary>
    public string? UserId { get; set; }

    /// <summary>Whether the client gets the model's reasoning.</summary>
    public bool ShowsThinking { get; set; }
}
