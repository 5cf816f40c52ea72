namespace Skein.Gateway.Api.Chats;

internal enum AnswerItemKind
{
    Reasoning,
    Text,
    Refusal,
    Call,
}

/// <summary>A part of an answer: a text, the reasoning before it, or one call of a tool. Not thread-safe.</summary>
/// <param name="index">Position among the parts of the answer, from 0.</param>
internal sealed class AnswerItem(AnswerItemKind kind, int index)
{
    private readonly ArrayBufferWriter<byte> _content = new();

    public AnswerItemKind Kind => kind;

    public int Index => index;

    /// <summary>The number of the call in the engine's stream. Of calls only.</summary>
    public int? CallNumber { get; init; }

    /// <summary>Id of the call. Of calls only.</summary>
    public string CallId { get; init; } = "";

    /// <summary>Name of the tool that is called. Of calls only.</summary>
    public string Name { get; init; } = "";

    /// <summary>The text, or the arguments of the call, so far.</summary>
    public ReadOnlySpan<byte> Content => _content.WrittenSpan;

    /// <summary>Log probabilities of the text so far; empty if the client asked for none.</summary>
    public List<TokenLogprob> Logprobs { get; } = [];

    /// <summary>Id of the part, where the dialect has one.</summary>
    public byte[]? Id { get; set; }

    public bool HasEnded { get; set; }

    public void Append(ReadOnlySpan<byte> utf8) => _content.Write(utf8);
}

/// <summary>Is told of the parts of an answer as they arrive. One part is open at a time.</summary>
internal interface IAnswerItemSink
{
    void Begin(AnswerItem item, IBufferWriter<byte> output);

    /// <param name="logprobs">Those of the added text.</param>
    void Append(AnswerItem item, ReadOnlySpan<byte> added, IReadOnlyList<TokenLogprob> logprobs, IBufferWriter<byte> output);

    void End(AnswerItem item, IBufferWriter<byte> output);
}
