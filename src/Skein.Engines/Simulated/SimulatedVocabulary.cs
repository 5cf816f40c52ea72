namespace Skein.Engines.Simulated;

/// <summary>
/// The tokens: answers consist of words, prompts of packed ids of one to three bytes each. Both can be turned into bytes, so that every id of a prompt or
/// an answer can be echoed and resumed.
/// </summary>
internal static class SimulatedVocabulary
{
    /// <summary>Bytes of each token of a prompt; the last one may have fewer.</summary>
    public const int BytesPerPromptToken = 3;

    // A sentence in order of its words. A word with a character outside ASCII becomes two tokens, cut inside that character.
    private static readonly string[][] Sentence =
    [
        [" The", " A", " One", " Every", " Some", " That", " This", " Another"],
        [" quiet", " silver", " na\u00efve", " old", " bright", " patient", " d\u00e9j\u00e0-vu", " hollow", " gentle", " restless", " amber", " \u65e7\u3044"],
        [" harbor", " caf\u00e9", " lantern", " river", " clock", " gardener", " se\u00f1or", " letter", " sparrow", " engine", " \u706f\u53f0", " shadow"],
        [" watched", " carried", " followed", " crossed", " remembered", " painted", " lost", " heard", " kept", " answered"],
        [" the", " a", " one", " every", " some", " that", " no", " another"],
        [" mountain", " orchard", " fa\u00e7ade", " window", " winter", " melody", " pi\u00f1ata", " bridge", " candle", " story", " \u6d77", " garden"],
        [" under", " beyond", " near", " without", " before", " after", " across", " \u2014 beside"],
        [" rain", " snow", " moonlight", " Z\u00fcrich", " silence", " morning", " dawn", " summer", " smoke", " thunder"],
        [".", "!", ".\n", " \u2026", " \ud83c\udf19.", " \u2728.", ";", "?"],
    ];

    private static readonly string[] Opening = ["The", "A", "One", "Every", "Some", "That", "This", "\u00c9tienne's"];

    private static readonly List<byte[]> Words = [];
    private static readonly HashSet<uint> Leads = [];
    private static readonly uint[] OpeningIds = Add(Opening);
    private static readonly uint[][] SentenceIds = [.. Sentence.Select(Add)];

    /// <summary>Tokens that may stand at a position of an answer.</summary>
    public static ReadOnlySpan<uint> At(int index) => index == 0 ? OpeningIds : SentenceIds[index % SentenceIds.Length];

    /// <summary>Whether the token ends inside a character; the next id is the rest of it and must follow.</summary>
    public static bool IsLead(uint id) => Leads.Contains(id);

    public static bool Contains(uint id) =>
        id < Words.Count || (id >> 24) switch
        {
            1 => (id & 0xFFFF) == 0,
            2 => (id & 0xFF) == 0,
            3 => true,
            _ => false,
        };

    /// <summary>The token's bytes; packed ones are written to <paramref name="scratch"/>, which holds at least three.</summary>
    public static ReadOnlySpan<byte> BytesOf(uint id, Span<byte> scratch)
    {
        if (id < Words.Count)
            return Words[(int)id];

        scratch[0] = (byte)(id >> 16);
        scratch[1] = (byte)(id >> 8);
        scratch[2] = (byte)id;
        return scratch[..(int)(id >> 24)];
    }

    /// <summary>Tokens of a prompt: three bytes each.</summary>
    public static uint[] Encode(ReadOnlySpan<byte> prompt)
    {
        var ids = new uint[(prompt.Length + BytesPerPromptToken - 1) / BytesPerPromptToken];
        for (var i = 0; i < ids.Length; i++)
        {
            var part = prompt[(i * BytesPerPromptToken)..Math.Min(prompt.Length, (i + 1) * BytesPerPromptToken)];
            ids[i] = (uint)part.Length << 24 | (uint)part[0] << 16
                | (part.Length > 1 ? (uint)part[1] << 8 : 0)
                | (part.Length > 2 ? part[2] : 0u);
        }

        return ids;
    }

    private static uint[] Add(string[] words)
    {
        var ids = new uint[words.Length];
        for (var i = 0; i < words.Length; i++)
        {
            ids[i] = (uint)Words.Count;
            var bytes = Encoding.UTF8.GetBytes(words[i]);
            var cut = bytes.AsSpan().IndexOfAnyExceptInRange((byte)0, (byte)0x7F) + 1;
            if (cut == 0)
            {
                Words.Add(bytes);
                continue;
            }

            Leads.Add(ids[i]);
            Words.Add(bytes[..cut]);
            Words.Add(bytes[cut..]);
        }

        return ids;
    }
}
