using Skein.Engines.OpenAiCompatible.Texts;
using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.LlamaCpp;

/// <summary>
/// The ids of llama.cpp's chat call. It tells them with probabilities only; those after sampling cost nothing, as the sampler has them already. Tokens whose
/// text its parser holds back come without an event: the number of tokens so far shows how many, and their ids are unknown.
/// </summary>
internal sealed class LlamaCppChatTokens : IChatTokens
{
    private const string TimingsAsked = "timings_per_token";
    private const string Timings = "timings";

    public static LlamaCppChatTokens Instance { get; } = new();

    public void Ask(RequestJson body, GenerateRequest request)
    {
        body.Flag(TimingsAsked, true);
        if (!LlamaCppProbabilities.AreAsked(request))
            body.Whole(LlamaCppProbabilities.Member, 1).Flag("post_sampling_probs", true);
    }

    public IChatTokenReader Read(GenerateRequest request) => new LlamaCppTokenReader(request);

    private sealed class LlamaCppTokenReader(GenerateRequest request) : IChatTokenReader
    {
        private readonly bool _showsTimings = request.Extra.Any(member => member.Name == TimingsAsked && member.Json.Span.SequenceEqual("true"u8));
        private readonly bool _showsProbabilities = LlamaCppProbabilities.AreAsked(request);
        private readonly List<uint> _held = [];
        private int _count;

        public uint[] PromptOf(JsonElement? first) => [];

        // The server itself tells them at the end.
        public string? HiddenMember(JsonElement data) =>
            _showsTimings || !data.Elements("choices").Any(choice => choice.Member("finish_reason") is null) ? null : Timings;

        public TextDelta DeltaOf(JsonElement data, JsonElement choice)
        {
            var delta = TextDelta.OfChat(choice, request);
            var known = (choice.Member("logprobs") ?? default).Elements("content").Select(token => token.Whole("id")).OfType<int>().ToList();
            // Text that the parser held back until the end belongs to tokens before, and the last count has the token that ends the answer.
            var count = delta.End.IsEnd ? _count : data.Member(Timings)?.Whole("predicted_n") ?? _count + known.Count;
            // Tokens of a draft model come without probabilities.
            var lost = Math.Max(0, count - _count - known.Count);
            delta = delta with { Ids = [.. Enumerable.Repeat(UnknownToken.Id, lost), .. known.Select(id => (uint)id)] };
            _count += delta.Ids!.Length;
            return _showsProbabilities ? delta : WithoutEnd(delta with { Logprobs = [] });
        }

        // The first event has the role, and the first token, even if that one ends the answer: only the next event shows whether it does. An answer that was
        // lost in between must not go on behind its end.
        private TextDelta WithoutEnd(TextDelta delta)
        {
            var hasNothing = (delta with { Ids = null }).IsEmpty;
            if (hasNothing && !delta.End.IsEnd)
            {
                _held.AddRange(delta.Ids!);
                return delta with { Ids = [] };
            }

            if (hasNothing && delta.End.Reason == FinishReason.Stop && _held.Count > 0)
                _held.RemoveAt(_held.Count - 1);

            delta = delta with { Ids = [.. _held, .. delta.Ids!] };
            _held.Clear();
            return delta;
        }
    }
}
