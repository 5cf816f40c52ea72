using System.Text.Json;
using Google.Protobuf;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.Embedded;

/// <summary>Requests as a gateway would send them.</summary>
internal static class Ask
{
    public static GenerateRequest Chat(string question) =>
        Messages(JsonSerializer.Serialize(new[] { new { role = "user", content = question } }));

    public static GenerateRequest Messages(string json) => new() { Chat = new ChatPrompt { Messages = ByteString.CopyFromUtf8(json) } };

    public static GenerateRequest Greedy(string question, uint maxTokens)
    {
        var request = Chat(question);
        request.MaxTokens = maxTokens;
        request.Sampling = new Sampling { Temperature = 0 };
        return request;
    }
}
