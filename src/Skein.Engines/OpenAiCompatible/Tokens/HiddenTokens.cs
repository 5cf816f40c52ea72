namespace Skein.Engines.OpenAiCompatible.Tokens;

/// <summary>
/// Finds the text of ids without the tokens that the server hides in its answers and shows in its <c>/detokenize</c>: end tokens that an answer passed, because
/// the client asked to ignore them. Stateless.
/// </summary>
/// <param name="textOf">The server's text of some ids of the answer.</param>
internal sealed class HiddenTokens(Func<IReadOnlyList<uint>, ValueTask<string>> textOf)
{
    /// <summary>A model has few end tokens.</summary>
    private const int MostKinds = 4;

    /// <param name="ids">Ids of the answer so far.</param>
    /// <param name="text">Their text, as the server shows it.</param>
    /// <param name="delivered">What the client has got of it.</param>
    /// <returns>The text without hidden tokens; the same if none are found.</returns>
    public async ValueTask<string> WithoutAsync(IReadOnlyList<uint> ids, string text, string delivered)
    {
        var (left, shown) = (ids, text);
        for (var kinds = 0; kinds < MostKinds && left.Count > 0 && !shown.StartsWith(delivered, StringComparison.Ordinal); kinds++)
        {
            var id = left[await FirstDifferenceAsync(left, delivered)];
            left = [.. left.Where(other => other != id)];
            shown = await textOf(left);
        }

        return shown.StartsWith(delivered, StringComparison.Ordinal) ? shown : text;
    }

    // The token with which the text is no longer what was delivered. A token that ends inside a character decides nothing.
    private async ValueTask<int> FirstDifferenceAsync(IReadOnlyList<uint> ids, string delivered)
    {
        var (same, differs) = (0, ids.Count);
        while (differs - same > 1)
        {
            var middle = (same + differs) / 2;
            var text = (await textOf([.. ids.Take(middle)])).TrimEnd('\uFFFD');
            var length = Math.Min(text.Length, delivered.Length);
            if (string.CompareOrdinal(text, 0, delivered, 0, length) == 0)
                same = middle;
            else
                differs = middle;
        }

        return differs - 1;
    }
}
