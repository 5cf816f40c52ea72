using Skein.Gateway.Api.Http;
using Skein.Gateway.Telemetry;
using Skein.Protocol.V1;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary><c>chat.completion</c> and <c>chat.completion.chunk</c>.</summary>
internal sealed class ChatFormat : AnswerFormat
{
    public override string Operation => MetricNames.ChatOperation;

    public override string IdPrefix => "chatcmpl-";

    public override string WholeObject => "chat.completion";

    public override string ChunkObject => "chat.completion.chunk";

    public override ReadOnlySpan<byte> Opening =>
        ",\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}"u8;

    public override void WriteDelta(scoped ref JsonSink json, GenerateFrame frame, ReadOnlySpan<byte> members, bool withLogprobs, ref int textOffset)
    {
        json.Raw("{\"index\":"u8);
        json.Number(frame.Choice);
        json.Raw(",\"delta\":{"u8);
        json.Raw(members);
        if (!frame.Text.IsEmpty || members.IsEmpty)
        {
            json.Raw(members.IsEmpty ? "\"content\":"u8 : ",\"content\":"u8);
            json.Text(frame.Text.Span);
        }

        json.Raw("},\"logprobs\":"u8);
        if (withLogprobs)
            ChatLogprobs.Write(ref json, frame.Logprobs);
        else
            json.Raw("null"u8);
        json.Raw(",\"finish_reason\":null}"u8);
    }

    public override void WriteFinish(scoped ref JsonSink json, uint choice, FinishReason reason, AnswerPlan plan)
    {
        json.Raw("{\"index\":"u8);
        json.Number(choice);
        json.Raw(",\"delta\":{},\"logprobs\":null,\"finish_reason\":"u8);
        json.Raw(Spell(reason, plan));
        json.Raw("}"u8);
    }

    public override void WriteWhole(scoped ref JsonSink json, int choice, CollectedChoice collected, AnswerPlan plan)
    {
        json.Raw("{\"index\":"u8);
        json.Number(choice);
        json.Raw(",\"message\":{\"role\":\"assistant\",\"content\":"u8);
        var merged = collected.MergedDeltas();
        if (collected.Text.IsEmpty && !merged.IsEmpty)
            json.Raw("null"u8);
        else
            json.Text(collected.Text);
        if (!merged.IsEmpty)
        {
            json.Raw(","u8);
            json.Raw(merged);
        }

        json.Raw("},\"logprobs\":"u8);
        if (plan.WithLogprobs)
            ChatLogprobs.Write(ref json, collected.Logprobs);
        else
            json.Raw("null"u8);
        json.Raw(",\"finish_reason\":"u8);
        json.Raw(Spell(collected.Finish, plan));
        json.Raw("}"u8);
    }
}
