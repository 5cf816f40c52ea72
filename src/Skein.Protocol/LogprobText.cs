using System.Text;
using System.Text.Unicode;

namespace Skein.Protocol;

/// <summary>
/// Tokens as text in the log probabilities of completions. Tokens that hold a part of a character have no text of their own: they are written as OpenAI does,
/// <c>bytes:\xe2\x80</c>, so that two of them differ. Thread-safe.
/// </summary>
public static class LogprobText
{
    /// <summary>The UTF-8 of a token's text.</summary>
    public static ReadOnlySpan<byte> Of(ReadOnlySpan<byte> token) => Utf8.IsValid(token) ? token : Encoding.UTF8.GetBytes(Escaped(token));

    private static string Escaped(ReadOnlySpan<byte> token)
    {
        var text = new StringBuilder("bytes:", "bytes:".Length + (4 * token.Length));
        foreach (var value in token)
            text.Append("\\x").Append(Convert.ToHexStringLower([value]));
        return text.ToString();
    }
}
