using System.Buffers;
using Skein.Gateway.Api.Http;
using Skein.Protocol.V1;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary>
/// Turns frames into server-sent events, <c>data: {…}</c> each. Pure: frames in, bytes out. Writes nothing for frames that hold their text
/// back.
/// </summary>
internal sealed class ChunkWriter(AnswerPlan plan, string sessionId)
{
    private readonly AnswerFormat _format = plan.Format;
    private readonly ChoiceState[] _choices = [.. Enumerable.Repeat(new ChoiceState { TextOffset = plan.EchoedCharacters ?? 0 }, plan.Choices)];
    private byte[]? _head;
    private UsageTotal _usage;

    public void Write(GenerateFrame frame, IBufferWriter<byte> output)
    {
        ref var choice = ref _choices[frame.Choice];
        if (frame.Start is { } start)
        {
            _head ??= AnswerHead.Write(plan, _format.ChunkObject, sessionId, start);
            choice.TextOffset = plan.EchoedCharacters ?? (int)start.EchoedCharacters;
        }

        if (!AnswerFormat.IsSilent(frame, plan.WithLogprobs))
        {
            // Looked at before anything of the event is written: what is wrong must not leave half of one behind.
            var members = RawDelta.Members(frame.RawDelta.Span);
            Open(ref choice, frame.Choice, output);
            var json = Begin(output);
            _format.WriteDelta(ref json, frame, members, plan.WithLogprobs, ref choice.TextOffset);
            End(ref json);
        }

        if (frame.Finish is { } finish)
        {
            Open(ref choice, frame.Choice, output);
            var json = Begin(output);
            _format.WriteFinish(ref json, frame.Choice, finish.Reason, plan);
            End(ref json);
            _usage.Add(finish.Usage);
        }
    }

    /// <summary>After the last frame: usage, where it was asked for and the engine counted.</summary>
    public void WriteUsage(IBufferWriter<byte> output)
    {
        if (!plan.IncludeUsage || !_usage.IsKnown)
            return;
        var json = Begin(output);
        json.Raw("],\"usage\":"u8);
        UsageJson.Write(ref json, _usage);
        json.Raw("}\n\n"u8);
        json.Complete();
    }

    private void Open(ref ChoiceState choice, uint index, IBufferWriter<byte> output)
    {
        if (choice.Opened)
            return;
        choice.Opened = true;
        if (_format.Opening.IsEmpty)
            return;
        var json = Begin(output);
        json.Raw("{\"index\":"u8);
        json.Number(index);
        json.Raw(_format.Opening);
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
