namespace Skein.Gateway.Api.Chats;

/// <summary>Joins JSON strings into one without reading their escapes. Not thread-safe.</summary>
internal sealed class JsonTextBuffer
{
    private readonly ArrayBufferWriter<byte> _inner = new();

    public bool IsEmpty => _inner.WrittenCount == 0;

    /// <summary>The text so far as a JSON string.</summary>
    public byte[] ToJson() => [(byte)'"', .. _inner.WrittenSpan, (byte)'"'];

    /// <summary>Appends a JSON string, which has its quotes.</summary>
    public void Append(ReadOnlySpan<byte> json) => _inner.Write(json[1..^1]);

    /// <summary>Appends text that is between the quotes of a JSON string as it is.</summary>
    public void AppendEscaped(ReadOnlySpan<byte> escaped) => _inner.Write(escaped);

    /// <summary>Appends a JSON string as a paragraph of its own.</summary>
    public void AppendParagraph(ReadOnlySpan<byte> json)
    {
        BeginParagraph();
        Append(json);
    }

    public void BeginParagraph()
    {
        if (!IsEmpty)
            _inner.Write("\\n\\n"u8);
    }

    public void Clear() => _inner.ResetWrittenCount();
}
