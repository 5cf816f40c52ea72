using Skein.Engines.Tests.Embedded;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>
/// llama.cpp with models that use SentencePiece, unlike Skein's own model: blanks belong to tokens, bytes are tokens, and the text of an id depends on the ids
/// before it.
/// </summary>
public class LlamaCppModelsTests
{
    private const string Stories260K = "stories260k/stories260K.gguf";
    private const string Stories656K = "tinystories-656k/story656k.gguf";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(Stories260K, "Once upon a time")]
    [InlineData(Stories260K, "Tom said: \"äöü 日本\"")]
    [InlineData(Stories656K, "Once upon a time")]
    [InlineData(Stories656K, "Lily saw a big red cat and")]
    public async Task GenerateAsync_GreedyCutAfterEveryToken_GoesOnExactly(string model, string prompt)
    {
        var file = LlamaProgram.FindModel(model);
        Assert.SkipWhen(file is null, LlamaProgram.MissingModel);
        await using var server = new LlamaServer(file);
        await using var engine = await server.ConnectAsync();
        var request = new GenerateRequest { Text = prompt, MaxTokens = 60, Logprobs = 1, Sampling = new Sampling { Temperature = 0, RepetitionPenalty = 1.1f } };

        var undisturbed = await Transcript.Of(engine, request, Cancellation);

        Assert.Equal(ResumeTier.Exact, undisturbed.Start.ResumeTier);
        Assert.True(undisturbed.Tokens.Count > 20, $"an answer of {undisturbed.Tokens.Count} tokens proves little");
        await undisturbed.AssertSameAfterAnyCut(engine, request);
    }
}
