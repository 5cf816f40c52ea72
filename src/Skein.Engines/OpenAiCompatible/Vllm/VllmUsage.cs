using Skein.Engines.OpenAiCompatible.Reasoning;
using Skein.Engines.OpenAiCompatible.Tokens;
using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.Vllm;

/// <summary>
/// What vLLM's chat call has in its usage beside the counts: options of its start and its version decide, so that the last answer that the call ended tells
/// it. Thread-safe.
/// </summary>
internal sealed class VllmUsage
{
    private const string Details = "completion_tokens_details";
    private const string ReasoningTokens = "reasoning_tokens";

    private volatile Shape _shape = new(false, false);

    /// <summary>Notes the usage of an answer.</summary>
    public void Note(JsonElement usage)
    {
        // What is null stays so for the client.
        var hasDetails = usage.ValueKind == JsonValueKind.Object && usage.TryGetProperty(Details, out _);
        _shape = new Shape(hasDetails, usage.Member(Details)?.Whole(ReasoningTokens) is not null);
    }

    /// <summary>Begins to count an answer.</summary>
    /// <param name="form">The model's marks of reasoning; null: they are unknown.</param>
    public IAnswerUsage Begin(ReasoningForm? form) => new Count(_shape, form?.OpenId, form?.CloseId);

    private sealed record Shape(bool HasDetails, bool CountsReasoning);

    /// <summary>vLLM's count: the tokens between the marks, where the answer itself opens them.</summary>
    private sealed class Count(Shape shape, uint? open, uint? close) : IAnswerUsage
    {
        private int _count;
        private int _depth;

        public ReadOnlyMemory<byte> Members => !shape.HasDetails || (shape.CountsReasoning && (open is null || close is null)) ? default
            : shape.CountsReasoning ? new RequestJson().Object(Details, details => details.Whole(ReasoningTokens, _count)).ToBytes()
            : new RequestJson().Raw(Details, "null"u8).ToBytes();

        public void Add(IReadOnlyList<uint> ids)
        {
            foreach (var id in ids)
            {
                if (id == open)
                    _depth++;
                else if (id == close)
                    _depth = Math.Max(0, _depth - 1);
                else
                    _count += _depth > 0 ? 1 : 0;
            }
        }

        public void AddEnd() => _count += _depth > 0 ? 1 : 0;
    }
}
