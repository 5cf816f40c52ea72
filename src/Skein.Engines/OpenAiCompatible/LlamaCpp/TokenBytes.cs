using System.Text;
using Skein.Protocol;

namespace Skein.Engines.OpenAiCompatible.LlamaCpp;

/// <summary>The bytes of every token of a model. Immutable.</summary>
internal sealed class TokenBytes
{
    private readonly byte[]?[] _bytes;

    // Tokens after which a character may be unfinished, by their bytes as Latin-1.
    private readonly Dictionary<string, uint> _parts = new(StringComparer.Ordinal);

    /// <param name="bytes">By id; null: no such token.</param>
    public TokenBytes(byte[]?[] bytes)
    {
        _bytes = bytes;
        for (var id = 0u; id < bytes.Length; id++)
        {
            if (bytes[id] is { } token && IsPartOfCharacter(token))
            {
                _parts.TryAdd(Encoding.Latin1.GetString(token), id);
            }
        }
    }

    public int Count => _bytes.Length;

    /// <exception cref="FaultException">No such token.</exception>
    public byte[] Of(uint id) => (id < _bytes.Length ? _bytes[id] : null)
        ?? throw new FaultException(Fault.ResumeRefused, $"token id {id} is not one of the model's; allowed: 0 to {_bytes.Length - 1}");

    /// <summary>
    /// Up to two ways to cut bytes into a number of tokens after each of which a character is unfinished, longer first tokens first.
    /// </summary>
    public IReadOnlyList<uint[]> Cut(ReadOnlySpan<byte> bytes, int tokens)
    {
        var found = new List<uint[]>(2);
        Search(Encoding.Latin1.GetString(bytes), new uint[tokens], 0, found);
        return found;
    }

    /// <summary>Whether more bytes could complete a character that begins at the end.</summary>
    public static bool EndsInsideCharacter(ReadOnlySpan<byte> bytes)
    {
        for (var length = 1; length <= Math.Min(3, bytes.Length); length++)
        {
            var unit = bytes[^length];
            if (unit >= 0xC0)
            {
                return length < (unit >= 0xF0 ? 4 : unit >= 0xE0 ? 3 : 2);
            }

            if (unit < 0x80)
            {
                return false;
            }
        }

        return false;
    }

    private void Search(string rest, uint[] ids, int at, List<uint[]> found)
    {
        if (at == ids.Length)
        {
            if (rest.Length == 0)
            {
                found.Add([.. ids]);
            }

            return;
        }

        for (var length = rest.Length - (ids.Length - at - 1); length > 0 && found.Count < 2; length--)
        {
            if (_parts.TryGetValue(rest[..length], out var id))
            {
                ids[at] = id;
                Search(rest[length..], ids, at + 1, found);
            }
        }
    }

    // Continuation bytes alone (98, 9F 98) also leave a character that began before them unfinished.
    private static bool IsPartOfCharacter(ReadOnlySpan<byte> token) =>
        token.Length > 0 && (EndsInsideCharacter(token) || token.IndexOfAnyExceptInRange((byte)0x80, (byte)0xBF) < 0);
}
