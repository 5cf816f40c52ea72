using Skein.Gateway.Api.Http;
using Skein.Gateway.Telemetry;
using Skein.Protocol.V1;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary><c>text_completion</c>, whole and in chunks.</summary>
internal sealed class CompletionFormat : AnswerFormat
{
    public override string Operation => MetricNames.CompletionOperation;

    public override string IdPrefix => "cmpl-";

    public override string WholeObject => "text_completion";

    public override string ChunkObject => "text_completion";

    public override ReadOnlySpan<byte> Opening => default;

    public override void WriteDelta(scoped ref JsonSink json, GenerateFrame frame, ReadOnlySpan<byte> members, bool withLogprobs, ref int textOffset)
    {
        Open(ref json, frame.Choice, frame.Text.Span);
        if (!members.IsEmpty)
        {
            json.Raw(","u8);
            json.Raw(members);
        }

        json.Raw(",\"logprobs\":"u8);
        if (withLogprobs)
            CompletionLogprobs.Write(ref json, frame.Logprobs, ref textOffset);
        else
            json.Raw("null"u8);
        json.Raw(",\"finish_reason\":null}"u8);
    }

    public override void WriteFinish(scoped ref JsonSink json, uint choice, FinishReason reason, AnswerPlan plan)
    {
        Open(ref json, choice, default);
        json.Raw(",\"logprobs\":null,\"finish_reason\":"u8);
        json.Raw(Spell(reason, plan));
        json.Raw("}"u8);
    }

    public override void WriteWhole(scoped ref JsonSink json, int choice, CollectedChoice collected, AnswerPlan plan)
    {
        Open(ref json, (uint)choice, collected.Text);
        var merged = collected.MergedDeltas();
        if (!merged.IsEmpty)
        {
            json.Raw(","u8);
            json.Raw(merged);
        }

        json.Raw(",\"logprobs\":"u8);
        var textOffset = plan.EchoedCharacters ?? collected.EchoedCharacters;
        if (plan.WithLogprobs)
            CompletionLogprobs.Write(ref json, collected.Logprobs, ref textOffset);
        else
            json.Raw("null"u8);
        json.Raw(",\"finish_reason\":"u8);
        json.Raw(Spell(collected.Finish, plan));
        json.Raw("}"u8);
    }

    private static void Open(scoped ref JsonSink json, uint choice, ReadOnlySpan<byte> text)
    {
        json.Raw("{\"index\":"u8);
        json.Number(choice);
        json.Raw(",\"text\":"u8);
        json.Text(text);
    }
}
