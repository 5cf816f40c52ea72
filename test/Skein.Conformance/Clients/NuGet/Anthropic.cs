using Anthropic;
using Microsoft.Extensions.AI;

internal static class Package
{
    public static IChatClient Connect(string http) =>
        new AnthropicClient { BaseUrl = http, ApiKey = "none", MaxRetries = 0 }.AsIChatClient("scripted", defaultMaxOutputTokens: 1000);
}
