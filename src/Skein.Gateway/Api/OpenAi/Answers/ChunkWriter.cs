using System.Buffers;
using System.Text;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary>Writes frames as server-sent events, <c>data: {…}</c> each. Writes nothing for frames whose text is held back.</summary>
internal sealed class ChunkWriter(AnswerPlan plan, string sessionId) : IAnswerWriter
{
    private readonly ChoiceState[] _choices = [.. Enumerable.Repeat(new ChoiceState { TextOffset = plan.EchoedCharacters ?? 0 }, plan.Choices)];
    private byte[]? _head;
    private UsageTotal _usage;

    public void Write(GenerateFrame frame, IBufferWriter<byte> output)
    {
        ref var choice = ref _choices[frame.Choice];
        if (frame.Start is { } start)
        {
            _head ??= plan.WriteHead(plan.Format.ChunkObject, sessionId, start);
            choice.TextOffset = plan.EchoedCharacters ?? (int)start.EchoedCharacters;
        }

        if (!AnswerFormat.IsSilent(frame, plan.WithLogprobs))
        {
            // First, because it throws on an invalid delta: that must not leave half an event.
            var members = RawDelta.Members(frame.RawDelta.Span);
            Open(ref choice, frame.Choice, output);
            var json = Begin(output);
            plan.Format.WriteDelta(ref json, frame, members, plan.WithLogprobs, ref choice.TextOffset);
            End(ref json);
        }

        if (frame.Finish is { } finish)
        {
            Open(ref choice, frame.Choice, output);
            var json = Begin(output);
            plan.Format.WriteFinish(ref json, frame.Choice, finish, plan);
            End(ref json);
            _usage.Add(finish.Usage);
        }
    }

    public void Complete(IBufferWriter<byte> output, string? comment)
    {
        if (plan.IncludeUsage && _usage.IsKnown)
        {
            var json = Begin(output);
            json.Raw("],\"usage\":"u8);
            _usage.Write(ref json);
            json.Raw("}\n\n"u8);
            json.Complete();
        }

        if (comment is not null)
            output.Write(Encoding.ASCII.GetBytes(comment));
        output.Write("data: [DONE]\n\n"u8);
    }

    private void Open(ref ChoiceState choice, uint index, IBufferWriter<byte> output)
    {
        if (choice.Opened)
            return;
        choice.Opened = true;
        if (plan.Format.Opening.IsEmpty)
            return;
        var json = Begin(output);
        json.Raw("{\"index\":"u8);
        json.Number(index);
        json.Raw(plan.Format.Opening);
        End(ref json);
    }

    private JsonSink Begin(IBufferWriter<byte> output)
    {
        var json = new JsonSink(output);
        json.Raw("data: "u8);
        json.Raw(_head ?? throw new InvalidDataException("the session sent tokens before any start frame"));
        return json;
    }

    private void End(ref JsonSink json)
    {
        json.Raw(plan.IncludeUsage ? "],\"usage\":null}\n\n"u8 : "]}\n\n"u8);
        json.Complete();
    }

    private struct ChoiceState
    {
        public bool Opened;
        public int TextOffset;
    }
}
