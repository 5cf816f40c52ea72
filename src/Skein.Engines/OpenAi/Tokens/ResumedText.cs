using System.Text;

namespace Skein.Engines.OpenAi.Tokens;

/// <summary>
/// Text of an answer whose server tells ids and text apart. Where the ids so far end inside a character, the server that goes on knows only its
/// end: until the character is whole, the text is asked for by ids. Not safe for concurrent use.
/// </summary>
internal sealed class ResumedText(ServerTokenizer tokenizer, TokenCall call)
{
    private const char HalfCharacter = '\uFFFD';
    private readonly List<uint> _more = [];
    private string? _whole;

    /// <summary>Text of the answer so far, up to its last whole character.</summary>
    public async ValueTask<byte[]> BeginAsync(CancellationToken cancellationToken)
    {
        var text = await tokenizer.AnswerAsync(call, [], cancellationToken);
        _whole = text.EndsWith(HalfCharacter) ? text.TrimEnd(HalfCharacter) : null;
        return Encoding.UTF8.GetBytes(_whole ?? text);
    }

    /// <summary>Text that new ids add.</summary>
    /// <param name="ids">All of the step's ids.</param>
    /// <param name="text">Their text as the server gives it.</param>
    /// <param name="isLast">Whether nothing can complete a character any more.</param>
    /// <param name="cancellationToken">The caller's.</param>
    public async ValueTask<byte[]> AddAsync(IReadOnlyList<uint> ids, string text, bool isLast, CancellationToken cancellationToken)
    {
        if (_whole is not { } known)
        {
            return Encoding.UTF8.GetBytes(text);
        }

        _more.AddRange(ids);
        var all = await tokenizer.AnswerAsync(call, _more, cancellationToken);
        if (all.EndsWith(HalfCharacter) && !isLast)
        {
            return [];
        }

        _whole = null;
        return all.StartsWith(known, StringComparison.Ordinal)
            ? Encoding.UTF8.GetBytes(all[known.Length..])
            : throw new EngineException(EngineError.ResumeRefused, "the text of the ids so far changes with the ids after them");
    }
}
