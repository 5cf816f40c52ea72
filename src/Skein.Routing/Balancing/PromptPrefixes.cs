using System.Runtime.InteropServices;
using System.Text.Json;

namespace Skein.Routing.Balancing;

/// <summary>
/// Hashes of a prompt's prefixes. They end where prompts of the same conversation or application usually begin to differ: after each message, and within a long
/// text after 1 KiB, 2 KiB, 4 KiB and so on. Nothing is tokenized: the client's bytes are hashed as they are.
/// </summary>
public static class PromptPrefixes
{
    /// <summary>Most hashes of one prompt. Longer prefixes do not count.</summary>
    public const int Most = 64;

    private const int FirstBlockBytes = 1024;

    /// <summary>The hashes, shortest prefix first.</summary>
    public static ulong[] Of(GenerateRequest request)
    {
        var hashes = new List<ulong>(capacity: 8);
        var model = StableHash.Of(request.Model);
        switch (request.PromptCase)
        {
            case GenerateRequest.PromptOneofCase.Text:
                AddBlocks(MemoryMarshal.AsBytes(request.Text.AsSpan()), model, hashes);
                break;
            case GenerateRequest.PromptOneofCase.TokenIds:
                AddBlocks(MemoryMarshal.AsBytes(request.TokenIds.Ids.ToArray().AsSpan()), model, hashes);
                break;
            case GenerateRequest.PromptOneofCase.Chat:
                // Chat templates render the tools before the messages.
                AddMessages(request.Chat.Messages.Span, StableHash.Of(request.Chat.Tools.Span, model), hashes);
                break;
        }
        return [.. hashes];
    }

    private static void AddMessages(ReadOnlySpan<byte> json, ulong hash, List<ulong> hashes)
    {
        try
        {
            var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = RequestLimits.JsonDepth });
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartArray)
                return;
            while (hashes.Count < Most && reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            {
                var start = (int)reader.TokenStartIndex;
                reader.Skip();
                hash = AddBlocks(json[start..(int)reader.BytesConsumed], hash, hashes);
            }
        }
        catch (JsonException)
        {
            // The engine refuses such a request in its own words. Until then the prefixes before the error are as good as any.
        }
    }

    /// <returns>The hash of everything up to the end of the text.</returns>
    private static ulong AddBlocks(ReadOnlySpan<byte> text, ulong hash, List<ulong> hashes)
    {
        for (int start = 0, end = FirstBlockBytes; start < text.Length && hashes.Count < Most; start = end, end *= 2)
        {
            if (end > text.Length || end <= 0)
                end = text.Length;
            hash = StableHash.Of(text[start..end], hash);
            hashes.Add(hash);
        }
        return hash;
    }
}
