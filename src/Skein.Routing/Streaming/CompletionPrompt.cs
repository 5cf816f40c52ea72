namespace Skein.Routing.Streaming;

/// <summary>One of several prompts of a request. Immutable; exactly one of both is set.</summary>
/// <param name="Text">A text.</param>
/// <param name="Ids">Token ids.</param>
public readonly record struct CompletionPrompt(string? Text, TokenIds? Ids)
{
    /// <summary>Sets it as the only prompt of a request.</summary>
    internal void WriteTo(GenerateRequest request)
    {
        if (Text is not null)
            request.Text = Text;
        else
            request.TokenIds = Ids;
    }
}
