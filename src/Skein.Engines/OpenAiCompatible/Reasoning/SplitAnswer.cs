using System.Buffers;
using Skein.Engines.OpenAiCompatible.Tools;

namespace Skein.Engines.OpenAiCompatible.Reasoning;

/// <summary>Reasoning and content of one answer, without what the client has got of both. Not safe for concurrent use.</summary>
/// <param name="splitter">Divides the text; null: all of it is content.</param>
/// <param name="calls">Looks for tool calls in the content; null: there can be none.</param>
/// <param name="delivered">Reasoning that the client has.</param>
/// <param name="content">Content that the client has.</param>
internal sealed class SplitAnswer(ReasoningSplitter? splitter, ToolCallWatch? calls, DeliveredReasoning delivered, byte[] content)
{
    private readonly string _member = delivered.Member.Length > 0 ? delivered.Member : DeliveredReasoning.Members[0];
    private readonly ArrayBufferWriter<byte> _reasoning = new();
    private readonly ArrayBufferWriter<byte> _content = new();
    private readonly ArrayBufferWriter<byte> _released = new();
    private int _skippedReasoning;
    private int _skippedContent;

    /// <summary>Whether there may be a reasoning.</summary>
    public bool IsDivided => splitter is not null;

    /// <summary>Whether a tool call has begun, which only the server's chat call reads.</summary>
    public bool HasCallBegun => calls is { HasBegun: true };

    /// <summary>The calls as the model wrote them.</summary>
    public string Calls => calls?.Calls ?? "";

    /// <summary>Notes tokens that belong to the text that is added next.</summary>
    public void Note(IReadOnlyList<uint> ids)
    {
        if (calls is not null && splitter is null or { IsReasoning: false } && calls.IsMark(ids))
            calls.Begin();
    }

    /// <summary>Adds text of the answer.</summary>
    /// <exception cref="FaultException">The client has something else.</exception>
    public void Append(ReadOnlySpan<byte> text, bool isLast = false)
    {
        if (splitter is null)
        {
            AddContent(text, isLast);
            return;
        }

        splitter.Append(text);
        if (isLast)
            splitter.Flush();

        Skip(splitter.Reasoning, delivered.Text, ref _skippedReasoning, _member, _reasoning);
        AddContent(splitter.Content, isLast);
        splitter.Clear();
    }

    /// <summary>Moves what the client does not have into a frame.</summary>
    public void Take(GenerateFrame frame)
    {
        frame.Text = ByteString.CopyFrom(_content.WrittenSpan);
        if (_reasoning.WrittenCount > 0)
            frame.RawDelta = ByteString.CopyFrom([.. "{\""u8, .. Encoding.UTF8.GetBytes(_member), .. "\":"u8, .. JsonSerializer.SerializeToUtf8Bytes(
                Encoding.UTF8.GetString(_reasoning.WrittenSpan)), (byte)'}']);

        _content.ResetWrittenCount();
        _reasoning.ResetWrittenCount();
    }

    private void AddContent(ReadOnlySpan<byte> text, bool isLast)
    {
        if (calls is null)
        {
            Skip(text, content, ref _skippedContent, "content", _content);
            return;
        }

        calls.Append(text, _released);
        // A call that is cut inside its mark: the server's parser decides what it is.
        if (isLast && calls.HoldsMark)
            calls.Begin();
        else if (isLast)
            calls.Flush(_released);

        Skip(_released.WrittenSpan, content, ref _skippedContent, "content", _content);
        _released.ResetWrittenCount();
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
