using System.Buffers;

namespace Skein.Engines.OpenAiCompatible.Reasoning;

/// <summary>Reasoning and content of one answer, without what the client has got of both. Not safe for concurrent use.</summary>
/// <param name="splitter">Divides the text.</param>
/// <param name="member">Name of the delta's member with the reasoning.</param>
/// <param name="delivered">Reasoning that the client has.</param>
/// <param name="content">Content that the client has.</param>
internal sealed class SplitAnswer(ReasoningSplitter splitter, string member, byte[] delivered, byte[] content)
{
    private readonly ArrayBufferWriter<byte> _reasoning = new();
    private readonly ArrayBufferWriter<byte> _content = new();
    private int _skippedReasoning;
    private int _skippedContent;

    /// <summary>Adds text of the answer.</summary>
    /// <exception cref="FaultException">The client has something else.</exception>
    public void Append(ReadOnlySpan<byte> text, bool isLast = false)
    {
        splitter.Append(text);
        if (isLast)
            splitter.Flush();

        Skip(splitter.Reasoning, delivered, ref _skippedReasoning, member, _reasoning);
        Skip(splitter.Content, content, ref _skippedContent, "content", _content);
        splitter.Clear();
    }

    /// <summary>Moves what the client does not have into a frame.</summary>
    public void Take(GenerateFrame frame)
    {
        frame.Text = ByteString.CopyFrom(_content.WrittenSpan);
        if (_reasoning.WrittenCount > 0)
            frame.RawDelta = ByteString.CopyFrom([.. "{\""u8, .. Encoding.UTF8.GetBytes(member), .. "\":"u8, .. JsonSerializer.SerializeToUtf8Bytes(
                Encoding.UTF8.GetString(_reasoning.WrittenSpan)), (byte)'}']);

        _content.ResetWrittenCount();
        _reasoning.ResetWrittenCount();
    }

    private static void Skip(ReadOnlySpan<byte> text, byte[] have, ref int skipped, string part, ArrayBufferWriter<byte> output)
    {
        var known = Math.Min(text.Length, have.Length - skipped);
        if (!text[..known].SequenceEqual(have.AsSpan(skipped, known)))
            throw new FaultException(Fault.ResumeRefused, $"the {part} that was delivered is not that of resume.token_ids, near byte {skipped}");

        skipped += known;
        output.Write(text[known..]);
    }
}
