namespace Skein.Engines.Embedded.Tokens;

/// <summary>
/// The characters by which byte-level BPE writes bytes (Radford et al., 2019): printable ones stand for themselves, the others for U+0100 and up.
/// </summary>
internal static class ByteAlphabet
{
    private static readonly string Characters = MakeCharacters();

    private static readonly Dictionary<char, byte> Bytes = Characters.Index().ToDictionary(entry => entry.Item, entry => (byte)entry.Index);

    public static char CharacterOf(byte unit) => Characters[unit];

    /// <summary>The bytes a token's text stands for; null if it has a character of another alphabet.</summary>
    public static byte[]? Decode(string token)
    {
        var bytes = new byte[token.Length];
        for (var i = 0; i < bytes.Length; i++)
        {
            if (!Bytes.TryGetValue(token[i], out bytes[i]))
                return null;
        }

        return bytes;
    }

    private static string MakeCharacters()
    {
        var characters = new char[256];
        var next = '\u0100';
        for (var unit = 0; unit < characters.Length; unit++)
        {
            var isPrintable = unit is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            characters[unit] = isPrintable ? (char)unit : next++;
        }

        return new string(characters);
    }
}
