using System.Text;

namespace Skein.Gateway.Tests.Api.OpenAi;

/// <summary>Bodies and paths that most tests need.</summary>
internal static class Requests
{
    public const string ChatPath = "/v1/chat/completions";
    public const string CompletionPath = "/v1/completions";

    public const string StreamedChat = """{"model": "tiny", "stream": true, "messages": [{"role": "user", "content": "hi"}]}""";
    public const string WholeChat = """{"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}""";

    public static StringContent Json(string body) => new(body, Encoding.UTF8, "application/json");

    public static async Task<string> PostTextAsync(this HttpClient client, string path, string body)
    {
        using var response = await client.PostAsync(path, Json(body));
        return await response.Content.ReadAsStringAsync();
    }
}
