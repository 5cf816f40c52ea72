using Skein.Engines.OpenAiCompatible.Texts;
using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.Vllm;

/// <summary>vLLM's <c>return_token_ids</c>: the ids of the prompt in the first event, those of the answer beside each delta.</summary>
/// <param name="usage">Learns what the usage of its answers has.</param>
internal sealed class VllmChatTokens(string engine, VllmUsage usage) : IChatTokens
{
    private const string Asked = "return_token_ids";
    private const string IdsMember = "token_ids";
    private const string PromptIdsMember = "prompt_token_ids";

    public void Ask(RequestJson body, GenerateRequest request) => body.Flag(Asked, true);

    public void NoteUsage(JsonElement counted) => usage.Note(counted);

    public IChatTokenReader Read(GenerateRequest request) => new VllmTokenReader(engine, request);

    private sealed class VllmTokenReader(string engine, GenerateRequest request) : IChatTokenReader
    {
        private readonly bool _isShown = request.Extra.Any(member => member.Name == Asked && member.Json.Span.SequenceEqual("true"u8));

        public uint[] PromptOf(JsonElement? first) => first is { } data && data.Ids(PromptIdsMember) is { Length: > 0 } prompt
            ? prompt
            : throw new FaultException(Fault.ResumeRefused, $"{engine} was asked for token ids, and its first event has no {PromptIdsMember}");

        public string? HiddenMember(JsonElement data) => _isShown ? null : PromptIdsMember;

        public TextDelta DeltaOf(JsonElement data, JsonElement choice)
        {
            var delta = TextDelta.OfChat(choice, request);
            // The first chunk has the role, and no token.
            var ids = choice.Ids(IdsMember) ?? (delta.IsEmpty ? [] : throw TextDelta.NoIds());
            // A stop text of the client is reported as a text. Without it, the last id ends the answer, and is no part of it.
            var isEnded = delta.End is { Reason: FinishReason.Stop or FinishReason.ToolCalls, Word: null }
                && choice.Text("stop_reason") is null && ids.Length > 0;
            var kept = isEnded ? ids[..^1] : ids;
            return delta with
            {
                Ids = kept,
                Logprobs = delta.Logprobs.Count == kept.Length ? delta.Logprobs : [.. delta.Logprobs.Take(kept.Length)],
                Choice = _isShown ? delta.Choice : RawMembers.Except(choice, [.. TextDelta.ChoiceMembers, IdsMember]),
            };
        }
    }
}
