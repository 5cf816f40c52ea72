using Skein.Gateway.Api.Chats;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.Anthropic.Answers;

/// <summary>Collects the answer, and writes one message at the end.</summary>
internal sealed class MessageWriter(MessagePlan plan, string sessionId) : IAnswerWriter
{
    private readonly AnswerItems _items = new(sessionId, plan.ShowsThinking);

    public void Write(GenerateFrame frame, IBufferWriter<byte> output) => _items.Add(frame, output);

    public void Complete(IBufferWriter<byte> output, string? comment)
    {
        var json = new JsonSink(output);
        MessageFormat.WriteHead(ref json, sessionId, plan.Model, _items.Start);
        for (var i = 0; i < _items.All.Count; i++)
        {
            json.Separate(i);
            MessageFormat.WriteBlock(ref json, _items.All[i]);
        }

        json.Raw("],"u8);
        MessageFormat.WriteStop(ref json, _items);
        json.Raw(",\"usage\":"u8);
        MessageFormat.WriteUsage(ref json, _items.Finish?.Usage);
        json.Raw("}"u8);
        json.Complete();
    }
}
