using System.ClientModel;
using System.ClientModel.Primitives;
using Microsoft.Extensions.AI;
using OpenAI;

internal static class Package
{
    public static IChatClient Connect(string http) => new OpenAIClient(
        new ApiKeyCredential("none"), new OpenAIClientOptions { Endpoint = new Uri($"{http}/v1"), RetryPolicy = new ClientRetryPolicy(0) })
        .GetChatClient("scripted").AsIChatClient();
}
