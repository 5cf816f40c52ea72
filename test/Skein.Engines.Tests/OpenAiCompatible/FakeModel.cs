using System.Text;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>
/// A model that answers every prompt of two tokens with the same words, some of them cut inside characters. It goes by the number of ids alone: whoever
/// resumes it with one too few or too many gets another answer.
/// </summary>
internal static class FakeModel
{
    public const int PromptTokens = 2;
    public const uint EndToken = 99;

    private static readonly byte[][] Pieces =
    [
        .. "Two |words".Split('|').Select(Encoding.UTF8.GetBytes), // the prompt
        .. " and| a".Split('|').Select(Encoding.UTF8.GetBytes),
        [0x20, 0xF0, 0x9F], [0x90], [0xA2], // " 🐢"
        .. " swim|s| home|.".Split('|').Select(Encoding.UTF8.GetBytes),
        [0xC3], [0xA9], // "é"
    ];

    /// <summary>Ids of the whole answer, without the end.</summary>
    public static IReadOnlyList<uint> Answer { get; } = [.. Enumerable.Range(PromptTokens, Pieces.Length - PromptTokens).Select(id => (uint)id)];

    public static string AnswerText { get; } = " and a 🐢 swims home.é";

    /// <summary>The token after so many ids.</summary>
    public static uint After(int ids) => ids < Pieces.Length ? (uint)ids : EndToken;

    /// <summary>Text of ids; bytes that are no character become U+FFFD, as servers' own calls have it.</summary>
    public static string TextOf(IEnumerable<uint> ids) =>
        Encoding.UTF8.GetString([.. ids.Where(id => id != EndToken).SelectMany(id => Pieces[(int)id])]);

    /// <summary>
    /// New ids of a request, each with the text a server would send with it: none while a character is unfinished, and nothing for one that was begun
    /// in the prompt.
    /// </summary>
    public static IEnumerable<(uint Id, string Text)> Generate(IReadOnlyCollection<uint> prompt, int maxTokens)
    {
        var ids = new List<uint>();
        var sent = "";
        for (var i = 0; i < maxTokens; i++)
        {
            var id = After(prompt.Count + i);
            ids.Add(id);
            var text = TextOf(ids);
            var added = text.EndsWith('\uFFFD') ? "" : text[sent.Length..];
            sent += added;
            yield return (id, added.Replace("\uFFFD", "", StringComparison.Ordinal));
            if (id == EndToken)
            {
                yield break;
            }
        }
    }
}
