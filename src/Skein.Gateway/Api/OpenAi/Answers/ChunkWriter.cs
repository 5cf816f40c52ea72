using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary>Writes frames as server-sent events, <c>data: {…}</c> each. Writes nothing for frames whose text is held back.</summary>
internal sealed class ChunkWriter(AnswerPlan plan, string sessionId) : IAnswerWriter
{
    private readonly ChoiceState[] _choices = new ChoiceState[plan.Choices];
    private byte[]? _head;
    private byte[] _fingerprint = [];
    private UsageTotal _usage;

    public void Write(GenerateFrame frame, IBufferWriter<byte> output)
    {
        ref var choice = ref _choices[frame.Choice];
        if (frame.Start is { } start)
        {
            _head ??= plan.WriteHead(plan.Format.ChunkObject, sessionId, start);
            choice.TextOffset = plan.EchoedCharactersOf(frame.Choice, start.EchoedCharacters);
        }

        // First, because they throw on an invalid object: that must not leave half an event.
        var members = RawDelta.Members(frame.RawDelta.Span);
        var beside = RawDelta.Members(frame.RawChoice.Span);
        var chunk = frame.RawChunk.IsEmpty ? default : TakeFingerprint(frame.RawChunk.Span);
        if (!AnswerFormat.IsSilent(frame, plan.WithLogprobs))
        {
            Open(ref choice, frame.Choice, output);
            var json = Begin(output);
            plan.Format.WriteDelta(ref json, frame, members, frame.Finish is null ? beside : default, plan.WithLogprobs, ref choice.TextOffset);
            End(ref json, frame.Finish is null ? chunk : default);
        }

        if (frame.Finish is { } finish)
        {
            Open(ref choice, frame.Choice, output);
            var json = Begin(output);
            plan.Format.WriteFinish(ref json, frame.Choice, finish, beside, plan);
            End(ref json, chunk);
            _usage.Add(plan.PromptOf(frame.Choice), finish.Usage);
        }
    }

    public void Complete(IBufferWriter<byte> output, string? comment)
    {
        if (plan.IncludeUsage && _usage.IsKnown)
        {
            var json = Begin(output);
            json.Raw("],\"usage\":"u8);
            _usage.Write(ref json);
            json.Raw(_fingerprint);
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
        End(ref json, default);
    }

    private JsonSink Begin(IBufferWriter<byte> output)
    {
        var json = new JsonSink(output);
        json.Raw("data: "u8);
        json.Raw(_head ?? throw new InvalidDataException("the session sent tokens before any start frame"));
        return json;
    }

    private void End(ref JsonSink json, ReadOnlySpan<byte> beside)
    {
        json.Raw(plan.IncludeUsage ? "],\"usage\":null"u8 : "]"u8);
        json.Raw(_fingerprint);
        json.Members(beside);
        json.Raw("}\n\n"u8);
        json.Complete();
    }

    // The engine's fingerprint arrives once, and is written into every chunk from then on.
    private ReadOnlySpan<byte> TakeFingerprint(ReadOnlySpan<byte> members)
    {
        const string Name = "system_fingerprint";
        if (members.IndexOf("system_fingerprint"u8) < 0 || RawDelta.Parse(members) is not { } read || read[Name] is not { } fingerprint)
            return RawDelta.Members(members);
        _fingerprint = [.. ",\"system_fingerprint\":"u8, .. JsonSerializer.SerializeToUtf8Bytes(fingerprint, RawDelta.Plain)];
        read.Remove(Name);
        return RawDelta.MembersOf(read);
    }

    private struct ChoiceState
    {
        public bool Opened;
        public int TextOffset;
    }
}
