using System.Text.Json;
using Skein.Engines.OpenAiCompatible.LlamaCpp;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>The ids that llama.cpp's chat call tells beside its deltas.</summary>
public class LlamaCppChatTokensTests
{
    /// <summary>An answer that was lost between its only token, the end, and the finish went on behind the end.</summary>
    [Fact]
    public void DeltaOf_FirstTokenEndsTheAnswer_IsNoTokenOfIt()
    {
        Assert.Equal([[], []], IdsOf(Event(id: 2, "null", 1), End("stop", 1)));
    }

    [Fact]
    public void DeltaOf_FirstTokenHasNoText_ComesWithTheNextOne()
    {
        Assert.Equal([[], [7u, 8u], []], IdsOf(Event(id: 7, "null", 1), Event(id: 8, "\"a\"", 2), End("stop", 3)));
    }

    [Fact]
    public void DeltaOf_OneTokenWithoutTextAndNoMoreAllowed_IsAToken()
    {
        Assert.Equal([[], [7u]], IdsOf(Event(id: 7, "null", 1), End("length", 1)));
    }

    private static List<uint[]> IdsOf(params string[] events)
    {
        var reader = LlamaCppChatTokens.Instance.Read(new GenerateRequest());
        return [.. events.Select(json => JsonElement.Parse(json)).Select(data => reader.DeltaOf(data, data.GetProperty("choices")[0]).Ids!)];
    }

    private static string Event(int id, string content, int count) =>
        $$$"""{"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":{{{content}}}},"logprobs":{"content":[{"id":{{{id}}},"token":"","prob":1.0}]}}],"timings":{"predicted_n":{{{count}}}}}""";

    private static string End(string reason, int count) =>
        $$$"""{"choices":[{"finish_reason":"{{{reason}}}","index":0,"delta":{}}],"timings":{"predicted_n":{{{count}}}}}""";
}
