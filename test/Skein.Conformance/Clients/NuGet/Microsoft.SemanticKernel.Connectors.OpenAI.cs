using System.ClientModel;
using System.ClientModel.Primitives;
using Microsoft.Extensions.AI;
using Microsoft.SemanticKernel.ChatCompletion;
using Microsoft.SemanticKernel.Connectors.OpenAI;
using OpenAI;

internal static class Package
{
    public static IChatClient Connect(string http) => new OpenAIChatCompletionService("scripted", new OpenAIClient(
        new ApiKeyCredential("none"), new OpenAIClientOptions { Endpoint = new Uri($"{http}/v1"), RetryPolicy = new ClientRetryPolicy(0) })).AsChatClient();
}
