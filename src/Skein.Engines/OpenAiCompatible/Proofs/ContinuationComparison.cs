namespace Skein.Engines.OpenAiCompatible.Proofs;

/// <summary>What a continued answer shows.</summary>
internal enum ContinuationVerdict
{
    /// <summary>It goes on as the undisturbed answer.</summary>
    Continues,

    /// <summary>It begins as the undisturbed answer: the server started anew.</summary>
    Restarts,

    /// <summary>It is another answer.</summary>
    Differs,

    /// <summary>The undisturbed answer goes on as it began, or has ended: both would look alike.</summary>
    Unclear,
}

/// <summary>Compares a continued answer with the undisturbed one. Pure.</summary>
internal static class ContinuationComparison
{
    private static ReadOnlySpan<byte> Blanks => " \t\r\n"u8;

    /// <param name="answer">Text of the undisturbed answer, as far as it is known.</param>
    /// <param name="cut">Bytes of it that were given to the server.</param>
    /// <param name="continued">What the server added, as far as it was read.</param>
    /// <param name="hasEnded">Whether the server ended the answer there.</param>
    public static ContinuationVerdict Of(ReadOnlySpan<byte> answer, int cut, ReadOnlySpan<byte> continued, bool hasEnded)
    {
        var rest = answer[cut..];
        if (rest.IsEmpty)
            return ContinuationVerdict.Unclear;

        if (continued.IsEmpty || (hasEnded && continued.Length < rest.Length))
            return ContinuationVerdict.Differs;

        if (Begins(rest[..Math.Min(rest.Length, continued.Length)], answer))
            return ContinuationVerdict.Unclear;

        if (Begins(continued, rest))
            return ContinuationVerdict.Continues;

        // Some servers put a blank in front of what they generate.
        return continued.Trim(Blanks) is { IsEmpty: false } text && Begins(text, answer.TrimStart(Blanks))
            ? ContinuationVerdict.Restarts
            : ContinuationVerdict.Differs;
    }

    /// <summary>Whether one of both is how the other begins.</summary>
    private static bool Begins(ReadOnlySpan<byte> one, ReadOnlySpan<byte> other)
    {
        var length = Math.Min(one.Length, other.Length);
        return one[..length].SequenceEqual(other[..length]);
    }
}
