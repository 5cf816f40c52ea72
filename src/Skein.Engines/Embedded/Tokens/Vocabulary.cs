using System.Text.RegularExpressions;
using Microsoft.ML.Tokenizers;
using Skein.Engines.Embedded.Gguf;

namespace Skein.Engines.Embedded.Tokens;

/// <summary>A model's tokens and its byte-level BPE tokenizer, read from the model file. Immutable, thread-safe.</summary>
internal sealed partial class Vocabulary(byte[][] bytes, Dictionary<string, int> controls, BpeTokenizer tokenizer, int? begin, HashSet<int> ends)
{
    private const int NormalToken = 1;
    private const int ControlToken = 3;
    private const int UnusedToken = 5;

    // GPT-2's split of a text into words, before tokens are merged.
    private const string Gpt2WordPattern = @"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    private readonly HashSet<int> _controlIds = [.. controls.Values];

    public int Count => bytes.Length;

    /// <summary>The token before every plain text; null if there is none.</summary>
    public int? Begin => begin;

    public IReadOnlySet<int> Ends => ends;

    public int LongestTokenBytes { get; } = bytes.Max(token => token.Length);

    /// <exception cref="ModelFileException">The file has no byte-level BPE tokenizer of a known kind.</exception>
    public static Vocabulary Read(GgufMetadata metadata)
    {
        Require(metadata, "tokenizer.ggml.model", "gpt2", "gpt2 (byte-level BPE)");
        Require(metadata, "tokenizer.ggml.pre", "gpt-2", "gpt-2");
        var texts = metadata.Texts("tokenizer.ggml.tokens");
        if (texts.Length is < 256 or > 1_000_000)
            throw metadata.Wrong("tokenizer.ggml.tokens", $"{texts.Length} tokens", "256 to 1000000");

        var types = metadata.IntegersOrNull("tokenizer.ggml.token_type") ?? [.. Enumerable.Repeat((long)NormalToken, texts.Length)];
        if (types.Length != texts.Length)
            throw metadata.Wrong("tokenizer.ggml.token_type", $"{types.Length} types", $"{texts.Length}, as many as tokens");

        var bytes = new byte[texts.Length][];
        var controls = new Dictionary<string, int>(StringComparer.Ordinal);
        var normal = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var id = 0; id < texts.Length; id++)
        {
            var isNormal = types[id] is NormalToken;
            if (!isNormal && types[id] is not (ControlToken or UnusedToken))
                throw metadata.Wrong($"tokenizer.ggml.token_type[{id}]", types[id], "1 (normal), 3 (control), 5 (unused)");

            if (!(isNormal ? normal : controls).TryAdd(texts[id], id))
                throw metadata.Wrong($"tokenizer.ggml.tokens[{id}]", texts[id], "every token once");

            bytes[id] = (isNormal ? ByteAlphabet.Decode(texts[id]) : Encoding.UTF8.GetBytes(texts[id]))
                ?? throw metadata.Wrong($"tokenizer.ggml.tokens[{id}]", texts[id], "characters of the byte-level alphabet");
        }

        return new Vocabulary(bytes, controls, MakeTokenizer(metadata, normal), ReadBegin(metadata, texts.Length), ReadEnds(metadata, texts.Length));
    }

    /// <summary>Tokens of a text. A text never becomes a control token.</summary>
    public IReadOnlyList<int> Encode(string text) => tokenizer.EncodeToIds(text);

    /// <summary>The id of a control token; null if there is no such token.</summary>
    public int? Control(string name) => controls.TryGetValue(name, out var id) ? id : null;

    /// <summary>The bytes of a token; the name of a control token.</summary>
    public ReadOnlySpan<byte> BytesOf(int id) => bytes[id];

    /// <summary>The bytes that a token adds to an answer's text; none for a control token.</summary>
    public ReadOnlySpan<byte> AnswerBytesOf(int id) => _controlIds.Contains(id) ? [] : bytes[id];

    private static BpeTokenizer MakeTokenizer(GgufMetadata metadata, Dictionary<string, int> tokens)
    {
        for (var unit = 0; unit < 256; unit++)
        {
            if (!tokens.ContainsKey(ByteAlphabet.CharacterOf((byte)unit).ToString()))
                throw metadata.Wrong("tokenizer.ggml.tokens", $"without a token for byte 0x{unit:x2}", "a token for every byte");
        }

        var merges = metadata.Texts("tokenizer.ggml.merges");
        for (var i = 0; i < merges.Length; i++)
        {
            var parts = merges[i].Split(' ');
            if (parts.Length != 2 || !parts.All(tokens.ContainsKey) || !tokens.ContainsKey(parts[0] + parts[1]))
                throw metadata.Wrong($"tokenizer.ggml.merges[{i}]", merges[i], "two tokens with a space between that together are a token");
        }

        return BpeTokenizer.Create(new BpeOptions(tokens.Select(token => KeyValuePair.Create(token.Key, token.Value)))
        {
            ByteLevel = true,
            Merges = merges,
            PreTokenizer = new RegexPreTokenizer(Gpt2Words(), specialTokens: null),
        });
    }

    private static int? ReadBegin(GgufMetadata metadata, int count)
    {
        var begin = metadata.IntegerOrNull("tokenizer.ggml.bos_token_id", 0, count - 1);
        return metadata.FlagOrNull("tokenizer.ggml.add_bos_token") ?? true ? begin : null;
    }

    private static HashSet<int> ReadEnds(GgufMetadata metadata, int count)
    {
        HashSet<int> ends = [metadata.Integer("tokenizer.ggml.eos_token_id", 0, count - 1)];
        if (metadata.IntegerOrNull("tokenizer.ggml.eot_token_id", 0, count - 1) is { } endOfTurn)
            ends.Add(endOfTurn);

        return ends;
    }

    private static void Require(GgufMetadata metadata, string key, string expected, string allowed)
    {
        if (metadata.Text(key) is var value && value != expected)
            throw metadata.Wrong(key, value, allowed);
    }

    [GeneratedRegex(Gpt2WordPattern, RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Gpt2Words();
}
