using Skein.Gateway.Api.Http;
using Skein.Gateway.Api.OpenAi.Requests;

namespace Skein.Gateway.Api.OpenAi.Responses.Requests;

/// <summary>A request body as read: the chat for the session, and what is translated after the last member or repeated in the answer.</summary>
internal sealed class ResponsesRequest : OpenAiRequest
{
    public JsonPart? Input { get; set; }

    public JsonPart? Instructions { get; set; }

    public JsonPart? Tools { get; set; }

    public JsonPart? ToolChoice { get; set; }

    public JsonPart? ParallelToolCalls { get; set; }

    public JsonPart? Text { get; set; }

    public JsonPart? Reasoning { get; set; }

    public JsonPart? Metadata { get; set; }

    /// <summary>Whether the items of the answer are kept for requests that refer to them.</summary>
    public bool Store { get; set; } = true;

    /// <summary>Whether the client asked for log probabilities of the text.</summary>
    public bool IncludesLogprobs { get; set; }

    /// <summary>The tools that the model may call, and their names on the client's side.</summary>
    public ToolCatalog Catalog { get; } = new();
}
