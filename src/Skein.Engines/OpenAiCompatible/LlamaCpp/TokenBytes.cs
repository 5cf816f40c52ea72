using Skein.Engines.OpenAiCompatible.Tokens;
using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.LlamaCpp;

/// <summary>The bytes of every token of a model. Immutable.</summary>
internal sealed class TokenBytes
{
    private const int MostTokens = 2_000_000;

    /// <summary>Tokens that are compared with the file.</summary>
    private const int SampledTokens = 256;

    private readonly byte[]?[] _bytes;

    // Tokens after which a character may be unfinished, by their bytes as Latin-1.
    private readonly Dictionary<string, uint> _parts = new(StringComparer.Ordinal);

    /// <param name="bytes">The bytes by id; null for an id without a token.</param>
    public TokenBytes(byte[]?[] bytes)
    {
        _bytes = bytes;
        for (var id = 0u; id < bytes.Length; id++)
        {
            if (bytes[id] is { } token && IsPartOfCharacter(token))
                _parts.TryAdd(Encoding.Latin1.GetString(token), id);
        }
    }

    /// <summary>
    /// The bytes of all tokens of a model. llama.cpp has no call for that, and its text calls replace incomplete characters. A request for the log
    /// probabilities of the whole vocabulary lists every token with its bytes: 13 MB for 152,000 tokens. So they are read once and kept in a file; after
    /// that, a few hundred ids show whether the file still fits.
    /// </summary>
    /// <param name="identity">Everything that distinguishes the model from others.</param>
    /// <param name="size">Number of tokens.</param>
    /// <param name="directory">Directory of the files.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    public static async ValueTask<TokenBytes> ReadAsync(
        EngineHttp http, string identity, int size, string directory, CancellationToken cancellationToken)
    {
        if (size is <= 0 or > MostTokens)
            throw new FaultException(Fault.Unsupported, $"{http.Name} reports a vocabulary of {size} tokens; allowed: 1 to {MostTokens}");

        if (size > SampledTokens && TokenBytesFile.Read(directory, identity, size) is { } kept)
        {
            var sample = await AskAsync(http, size, SampledTokens, cancellationToken);
            if (sample.Zip(kept).All(pair => pair.First is null || pair.First.AsSpan().SequenceEqual(pair.Second)))
                return new TokenBytes(kept);
        }

        var bytes = await AskAsync(http, size, size, cancellationToken);
        if (size > SampledTokens)
            TokenBytesFile.Write(directory, identity, bytes);

        return new TokenBytes(bytes);
    }

    // The bytes of the most probable tokens; null for all other ids.
    private static async ValueTask<byte[]?[]> AskAsync(EngineHttp http, int size, int count, CancellationToken cancellationToken)
    {
        var body = new RequestJson()
            .Text("prompt", EngineCanary.Prompt).Whole("n_predict", 1).Whole("n_probs", count).Number("temperature", 0).Flag("cache_prompt", false);
        var answer = await http.AskAsync("completion", body.ToBytes(), cancellationToken);
        var bytes = new byte[]?[size];
        foreach (var token in answer.Elements("completion_probabilities").Take(1).SelectMany(position => position.Elements("top_logprobs")))
        {
            if (token.Whole("id") is { } id and >= 0 && id < size)
                bytes[id] = [.. token.Elements("bytes").Select(unit => unit.GetByte())];
        }

        return bytes.Any(token => token is not null)
            ? bytes
            : throw new FaultException(Fault.Unsupported, $"{http.Name} does not report the bytes of its tokens (completion_probabilities)");
    }

    /// <exception cref="FaultException">No such token.</exception>
    public byte[] Of(uint id) => (id < _bytes.Length ? _bytes[id] : null)
        ?? throw new FaultException(Fault.ResumeRefused, $"token id {id} is not one of the model's; allowed: 0 to {_bytes.Length - 1}");

    /// <summary>Up to two ways to cut bytes into a number of tokens after each of which a character is unfinished, longer first tokens first.</summary>
    public IReadOnlyList<uint[]> Cut(ReadOnlySpan<byte> bytes, int tokens)
    {
        var found = new List<uint[]>(2);
        Search(Encoding.Latin1.GetString(bytes), new uint[tokens], 0, found);
        return found;
    }

    // Whether further bytes could complete a character that begins at the end.
    private static bool EndsInsideCharacter(ReadOnlySpan<byte> bytes)
    {
        for (var length = 1; length <= Math.Min(3, bytes.Length); length++)
        {
            var unit = bytes[^length];
            if (unit >= 0xC0)
                return length < (unit >= 0xF0 ? 4 : unit >= 0xE0 ? 3 : 2);

            if (unit < 0x80)
                return false;
        }

        return false;
    }

    private void Search(string rest, uint[] ids, int at, List<uint[]> found)
    {
        if (at == ids.Length)
        {
            if (rest.Length == 0)
                found.Add([.. ids]);

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
