using System.Runtime.InteropServices;
using Skein.Engines.OpenAiCompatible.Tokens;
using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.LlamaCpp;

/// <summary>
/// One stream of llama.cpp's <c>/completion</c>. While a character is unfinished the server sends nothing, and then only the id of the token that
/// finished it. The ids in between are recovered from its bytes.
/// </summary>
internal sealed class LlamaCppStream(EngineHttp http, TokenBytes vocabulary, TokenCall call)
{
    private const string Timings = "timings";
    private const string Progress = "prompt_progress";

    private readonly List<uint> _ids = [.. call.Ids];
    private readonly bool _showsTimings = !call.Request.Whole && call.Request.Extra.Any(
        member => member.Name == "timings_per_token" && member.Json.Span.SequenceEqual("true"u8));

    private readonly bool _isGreedy = ResumeTiers.IsGreedy(call.Request.Sampling);
    private int _predicted;

    public async IAsyncEnumerable<TokenStep> ReadAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        TokenStep? withheld = null;
        await foreach (var next in http.StreamAsync("completion", Body(call.Rest, isStream: true), IsLast, call.Request, cancellationToken))
        {
            if (next is not { } data)
            {
                yield return TokenStep.Alive;
                continue;
            }

            // With return_progress: it has no token, though it counts one.
            if (data.Member(Progress) is not null)
            {
                yield return call.Request.Whole ? TokenStep.Alive : TokenStep.Alive with { Chunk = ChunkOf(data, Progress) };
                continue;
            }

            var ids = data.Ids("tokens") ?? [];
            var predicted = data.Whole("tokens_predicted") ?? throw Broken("an event has no tokens_predicted");
            var lost = predicted - _predicted - ids.Length;
            _predicted = predicted;
            var isLast = IsLast(data);
            var isEnd = isLast && data.Text("stop_type") == "eos";
            if (withheld is { } step && !isEnd)
                yield return Known(step);

            // tokens_predicted counts the token that ends the answer. If that was not received, it is the last of the lost ones.
            lost -= isEnd && withheld is null && lost > 0 ? 1 : 0;
            var ofEnd = isEnd && withheld is { } end ? end.Logprobs : [];
            withheld = null;
            foreach (var id in lost > 0 ? await RecoverAsync(lost, ids, data.Text("content") ?? "", cancellationToken) : [])
                yield return Known(new TokenStep([id], vocabulary.Of(id), []));

            if (isLast)
            {
                yield return new TokenStep([], default, ofEnd, isEnd ? FinishReason.Stop : FinishReason.Length)
                {
                    HasEndToken = isEnd,
                    CachedTokens = CachedTokensIn(data),
                    Chunk = ChunkOf(data, Timings),
                };
                yield break;
            }

            for (var i = 0; i < ids.Length; i++)
            {
                step = new TokenStep([ids[i]], vocabulary.Of(ids[i]), i == ids.Length - 1 ? LogprobsOf(data) : [])
                {
                    CachedTokens = CachedTokensIn(data),
                    Chunk = _showsTimings && i == ids.Length - 1 ? ChunkOf(data, Timings) : default,
                    ChunkOfStop = call.Request.Stop.Count > 0 ? ChunkOf(data, Timings) : default,
                };
                // A token without text may be the one that ends the answer. The next event shows whether it is.
                if (step.Text.IsEmpty && i == ids.Length - 1)
                {
                    withheld = step;
                }
                else
                {
                    yield return Known(step);
                }
            }
        }
    }

    /// <summary>Prompt tokens that were in the cache; null: the answer does not tell them.</summary>
    public static int? CachedTokensIn(JsonElement answer) => answer.Member(Timings)?.Whole("cache_n");

    /// <param name="tokens">Most tokens; null: the server's limit.</param>
    public static ReadOnlyMemory<byte> BodyOf(GenerateRequest request, IEnumerable<uint> prompt, int? tokens, bool isStream)
    {
        var body = new RequestJson()
            .Ids("prompt", prompt).Whole("n_predict", tokens).Flag("stream", isStream).Flag("return_tokens", true)
            .LlamaCppSampling(request.Sampling);
        body.Whole(LlamaCppProbabilities.Member, LlamaCppProbabilities.CountOf(request));
        // The last event, which has the timings and with them what was cached, is not awaited behind a stop text.
        if (isStream && request.Stop.Count > 0)
            body.Flag("timings_per_token", true);

        // Stop texts are matched by the adapter: the server would delay text for them, and lost ids can be recovered from the text only.
        // OpenAI's calls ignore response_fields.
        return body.Extra(request.Extra.Where(member => member.Name is not ("stop" or "logprobs" or "top_logprobs" or "response_fields"))).ToBytes();
    }

    /// <summary>A member of an event for the client's chunk; empty: the event does not have it.</summary>
    private static ReadOnlyMemory<byte> ChunkOf(JsonElement data, string name) =>
        data.Member(name) is { } member ? new RequestJson().Raw(name, JsonMarshal.GetRawUtf8Value(member)).ToBytes() : default;

    private static bool IsLast(JsonElement data) => data.Member("stop") is { ValueKind: JsonValueKind.True };

    private IReadOnlyList<TokenLogprob> LogprobsOf(JsonElement data) =>
        CompletionLogprobsReader.OfTokens(data.Elements("completion_probabilities").Take(1), call.Request);

    private TokenStep Known(TokenStep step)
    {
        _ids.AddRange(step.Ids);
        return step;
    }

    private ReadOnlyMemory<byte> Body(int? tokens, bool isStream) => BodyOf(call.Request, _ids, tokens, isStream);

    // Finds the lost ids from the text of the event. The text includes that of the received id in "next", which is empty at the end of the answer.
    private async ValueTask<IEnumerable<uint>> RecoverAsync(int lost, uint[] next, string content, CancellationToken cancellationToken)
    {
        var bytes = Encoding.UTF8.GetBytes(content);
        if (next.Length == 1 && vocabulary.Of(next[0]) is var last && bytes.AsSpan().EndsWith(last))
        {
            var ways = vocabulary.Cut(bytes.AsSpan(..^last.Length), lost);
            if (ways.Count == 1 || (ways.Count > 1 && !_isGreedy))
                return ways[0];
        }

        // The tokens did not complete a character, or several sequences of tokens do. Requested again, a greedy answer is the same; a sampled one may take
        // any sequence that fits, because the client has not seen these tokens.
        var answer = await http.AskAsync("completion", Body(lost + next.Length, isStream: false), cancellationToken);
        var again = answer.Ids("tokens") ?? [];
        return again.Length >= lost && (next.Length == 0 || again.AsSpan(lost).SequenceEqual(next))
            ? again.Take(lost)
            : throw Broken($"the ids of {lost} tokens inside a character are missing");
    }

    private FaultException Broken(string what) => new(Fault.EngineFailed, $"{http.Name}: {what}");
}
