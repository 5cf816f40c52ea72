using Skein.Gateway.Api.Chats;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.OpenAi.Responses.Answers;

/// <summary>Collects the answer, and writes one response object at the end.</summary>
internal sealed class ResponseWriter(ResponsePlan plan, string sessionId) : IAnswerWriter
{
    private readonly AnswerItems _items = new(sessionId, withReasoning: true);

    public void Write(GenerateFrame frame, IBufferWriter<byte> output) => _items.Add(frame, output);

    public void Complete(IBufferWriter<byte> output, string? comment)
    {
        var format = new ResponseFormat(plan, sessionId);
        var json = new JsonSink(output);
        format.Write(ref json, ResponseFormat.StatusOf(_items.Finish), _items);
        json.Complete();
        foreach (var item in _items.All)
            format.Keep(item);
    }
}
