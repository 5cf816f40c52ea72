namespace Skein.Engines.OpenAiCompatible.Tokens;

/// <summary>
/// Text of an answer whose server reports ids and text separately. If the resumed ids end inside a character, the server that continues sends only the rest
/// of that character; until it is whole, the text is requested by ids. Not safe for concurrent use.
/// </summary>
internal sealed class ResumedText(ServerTokenizer tokenizer, TokenCall call)
{
    private const char HalfCharacter = '\uFFFD';
    private const int MostHalves = 3; // tokens before the one that completes a character of 4 bytes
    private readonly List<uint> _more = [];
    private string? _whole;

    // What the client has got beside a text is not compared here.
    private bool PassesEndTokens => call.Request.Resume is { RawDeltas.IsEmpty: true }
        && call.Request.Extra.Any(member => member.Name == "ignore_eos" && member.Json.Span.SequenceEqual("true"u8));

    /// <summary>Text of the answer so far, up to the last token that ends between characters.</summary>
    public async ValueTask<byte[]> BeginAsync(CancellationToken cancellationToken)
    {
        var text = call.Answer.Count > 0 ? await tokenizer.AnswerAsync(call, [], cancellationToken) : "";
        if (PassesEndTokens && call.Answer.Count > 0)
        {
            var hidden = new HiddenTokens(ids => tokenizer.AnswerAsync(call with { Answer = ids }, [], cancellationToken));
            text = await hidden.WithoutAsync(call.Answer, text, call.Request.Resume?.Text.ToStringUtf8() ?? "");
        }

        if (!text.EndsWith(HalfCharacter))
            return Encoding.UTF8.GetBytes(text);

        for (var without = 1; without <= Math.Min(MostHalves, call.Answer.Count); without++)
        {
            var shorter = await tokenizer.AnswerAsync(call with { Answer = [.. call.Answer.SkipLast(without)] }, [], cancellationToken);
            if (!shorter.EndsWith(HalfCharacter))
            {
                _whole = shorter;
                return Encoding.UTF8.GetBytes(shorter);
            }
        }

        // These bytes are not the beginning of a character: no token completes them.
        return Encoding.UTF8.GetBytes(text);
    }

    /// <summary>Text that the ids of one step add; <paramref name="text"/> is the server's text for them.</summary>
    public async ValueTask<byte[]> AddAsync(IReadOnlyList<uint> ids, string text, CancellationToken cancellationToken)
    {
        if (_whole is not { } known)
            return Encoding.UTF8.GetBytes(text);

        _more.AddRange(ids);
        var all = await tokenizer.AnswerAsync(call, _more, cancellationToken);
        if (all.EndsWith(HalfCharacter))
            return [];

        _whole = null;
        return all.StartsWith(known, StringComparison.Ordinal)
            ? Encoding.UTF8.GetBytes(all[known.Length..])
            : throw new FaultException(Fault.ResumeRefused, "the text of the ids so far changes with the ids after them");
    }
}
