namespace Skein.Engines.OpenAiCompatible.Proofs;

/// <summary>Whether a server continues answers of one kind, as a test of it showed. Immutable.</summary>
/// <param name="IsProven">Whether a continued answer went on as the undisturbed one.</param>
/// <param name="Reason">Why it is not proven, as a sentence about the server; empty if it is.</param>
internal sealed record ContinuationProof(bool IsProven, string Reason)
{
    public static ContinuationProof Proven { get; } = new(true, "") { IsExact = true };

    /// <summary>Most continued answers went on as the undisturbed one, and not all.</summary>
    public static ContinuationProof ProvenInMost { get; } = new(true, "");

    /// <summary>Whether every continued answer went on as the undisturbed one.</summary>
    public bool IsExact { get; init; }

    /// <summary>The server was not tested yet.</summary>
    public static ContinuationProof Pending { get; } = Not("it is not proven yet");

    public static ContinuationProof Not(string reason) => new(false, reason);
}

/// <summary>What was proven of one model. Immutable.</summary>
/// <param name="Ids">Completions are continued from their token ids.</param>
/// <param name="ChatIds">Chats are, and are then what the server's own chat call answers.</param>
/// <param name="Chat">Chats are continued from their text, as the last message.</param>
/// <param name="Completion">Completions are continued from their text, as the end of the prompt.</param>
internal sealed record ModelProofs(ContinuationProof Ids, ContinuationProof ChatIds, ContinuationProof Chat, ContinuationProof Completion)
{
    /// <summary>Chats with tools are continued from their token ids, up to the beginning of a call.</summary>
    public ContinuationProof Tools { get; init; } = ContinuationProof.Pending;

    /// <summary>Whether the form of whole tool calls is known, so that they can be read without the server's parser.</summary>
    public bool ReadsCalls { get; init; }

    /// <summary>Chats whose answer is bound to a format are continued from their text, and the format goes on.</summary>
    public ContinuationProof Formats { get; init; } = ContinuationProof.Pending;

    public static ModelProofs Pending { get; } = Of(ContinuationProof.Pending);

    public static ModelProofs Of(ContinuationProof all) => new(all, all, all, all) { Tools = all, Formats = all, ReadsCalls = all.IsProven };
}
