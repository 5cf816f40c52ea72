using Skein.Simulation.Traces;

namespace Skein.Simulation.Lab;

/// <summary>Writes prompts that share what the trace's prompts share.</summary>
internal static class LabPrompt
{
    private const int CharactersPerToken = 4;
    private const int BlockCharacters = TraceRequest.BlockTokens * CharactersPerToken;
    private const int Pattern = 16;

    public static string TextOf(TraceRequest request)
    {
        var length = Math.Min(request.PromptTokens * CharactersPerToken, request.Blocks.Count * BlockCharacters);
        return string.Create(length, request.Blocks, static (text, blocks) =>
        {
            for (var i = 0; i < blocks.Count && i * BlockCharacters < text.Length; i++)
                Fill(text[(i * BlockCharacters)..Math.Min(text.Length, (i + 1) * BlockCharacters)], blocks[i]);
        });
    }

    private static void Fill(Span<char> block, int id)
    {
        Span<char> pattern = stackalloc char[Pattern];
        id.TryFormat(pattern, out _, "D16", CultureInfo.InvariantCulture);
        for (; block.Length >= Pattern; block = block[Pattern..])
            pattern.CopyTo(block);
        pattern[..block.Length].CopyTo(block);
    }
}
