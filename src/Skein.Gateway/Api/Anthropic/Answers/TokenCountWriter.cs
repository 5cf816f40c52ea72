using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.Anthropic.Answers;

/// <summary>Answers with the number of tokens of the prompt, as soon as the engine tells it.</summary>
internal sealed class TokenCountWriter : IAnswerWriter
{
    private uint _promptTokens;

    public bool IsComplete => _promptTokens > 0;

    public void Write(GenerateFrame frame, IBufferWriter<byte> output)
    {
        if (!IsComplete)
            _promptTokens = frame.Start?.PromptTokens ?? frame.Finish?.Usage?.PromptTokens ?? 0;
    }

    public void Complete(IBufferWriter<byte> output, string? comment)
    {
        if (!IsComplete)
        {
            throw new RequestRefusedException(
                StatusCodes.Status404NotFound, "not_found", null, "the engine of this model does not count tokens: count_tokens is not served for it");
        }

        var json = new JsonSink(output);
        json.Raw("{\"input_tokens\":"u8);
        json.Number(_promptTokens);
        json.Raw("}"u8);
        json.Complete();
    }
}
