using System.Buffers;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary>Collects all choices, and writes one JSON object at the end.</summary>
internal sealed class WholeAnswerWriter(AnswerPlan plan, string sessionId) : IAnswerWriter
{
    private readonly CollectedChoice[] _choices = [.. Enumerable.Range(0, plan.Choices).Select(_ => new CollectedChoice())];
    private Start? _start;
    private UsageTotal _usage;

    public void Write(GenerateFrame frame, IBufferWriter<byte> output)
    {
        _start ??= frame.Start;
        _choices[frame.Choice].Add(frame);
        if (frame.Finish is { } finish)
            _usage.Add(finish.Usage);
    }

    public void Complete(IBufferWriter<byte> output, string? comment)
    {
        var json = new JsonSink(output);
        json.Raw(plan.WriteHead(plan.Format.WholeObject, sessionId, _start ?? new Start()));
        for (var i = 0; i < _choices.Length; i++)
        {
            json.Separate(i);
            plan.Format.WriteWhole(ref json, (uint)i, _choices[i], plan);
        }

        json.Raw("],\"usage\":"u8);
        _usage.Write(ref json);
        json.Raw("}"u8);
        json.Complete();
    }
}
