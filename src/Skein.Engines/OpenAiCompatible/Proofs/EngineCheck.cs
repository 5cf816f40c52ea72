using System.Text.RegularExpressions;

namespace Skein.Engines.OpenAiCompatible.Proofs;

/// <summary>
/// Checks how an engine continues: answers of each kind of request are cut at random points, continued as a lost answer would be, or made again, and compared
/// with the undisturbed ones.
/// </summary>
public static partial class EngineCheck
{
    private const int MostReasonCharacters = 200;
    private const int StopCharacters = 4;

    /// <summary>Checks all kinds of requests, one after the other.</summary>
    /// <param name="model">Name of a model that generates.</param>
    /// <param name="answers">Answers of each kind, at least 1. Each costs up to about 150 tokens.</param>
    /// <param name="random">Chooses the points.</param>
    /// <param name="cancellationToken">Ends the check.</param>
    public static async IAsyncEnumerable<EngineCheckRow> RunAsync(
        IInferenceEngine engine, string model, int answers, Random random, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(engine);
        ArgumentNullException.ThrowIfNull(random);
        foreach (var kind in EngineCheckKind.All)
        {
            var row = new EngineCheckRow(kind.Name, ResumeTier.Unspecified, 0, 0, "", "") { Shown = kind.WantsReasoning || kind.WantsCalls ? 0 : null };
            for (var i = 0; i < answers; i++)
            {
                var request = kind.RequestOf(model, i);
                row = Add(row, await CheckAsync(engine, kind, request, random, cancellationToken));
                // The server does not serve this kind at all.
                if (row is { Answers: 1, Tier: ResumeTier.Unspecified })
                    break;
            }

            yield return row with
            {
                WhyNotExact = row.Tier is ResumeTier.Exact or ResumeTier.Unspecified || engine is not OpenAiEngine server
                    ? ""
                    : server.WhyNotExact(kind.RequestOf(model, 0)),
            };
        }
    }

    private static EngineCheckRow Add(EngineCheckRow row, Outcome outcome) => row with
    {
        // The lowest tier of all answers.
        Tier = row.Tier == ResumeTier.Unspecified || outcome.Tier < row.Tier ? outcome.Tier : row.Tier,
        IsMadeAgain = row.IsMadeAgain || outcome.IsMadeAgain,
        Answers = row.Answers + 1,
        Equal = row.Equal + (outcome.Difference is null ? 1 : 0),
        Shown = row.Shown + (outcome.IsShown ? 1 : 0),
        Reason = row.Reason.Length > 0 || outcome.Difference is not { } difference ? row.Reason
            : difference.Length > MostReasonCharacters ? difference[..MostReasonCharacters] + "…" : difference,
    };

    private static async ValueTask<Outcome> CheckAsync(
        IInferenceEngine engine, EngineCheckKind kind, GenerateRequest request, Random random, CancellationToken cancellationToken)
    {
        var trial = new Trial(engine, kind, cancellationToken);
        // Generators of random numbers are not safe for concurrent use.
        var cuts = Enumerable.Range(0, kind.Choices).Select(_ => random.NextDouble()).ToList();
        var outcomes = await Task.WhenAll(cuts.Select((cut, choice) => trial.RunAsync(new GenerateRequest(request) { Choice = (uint)choice }, cut)));
        return outcomes.FirstOrDefault(outcome => outcome.Difference is not null) ?? outcomes[0];
    }

    /// <param name="Tier">The tier of the answer.</param>
    /// <param name="Difference">How it came out otherwise; null: it did not.</param>
    /// <param name="IsShown">Whether it had what the kind is about.</param>
    private sealed record Outcome(ResumeTier Tier, string? Difference, bool IsShown)
    {
        /// <summary>Whether a lost answer is generated from its beginning, because it is not continued.</summary>
        public bool IsMadeAgain { get; init; }
    }

    private sealed partial class Trial(IInferenceEngine engine, EngineCheckKind kind, CancellationToken cancellationToken)
    {
        /// <param name="place">Where the answer is cut, from 0 to 1.</param>
        public async Task<Outcome> RunAsync(GenerateRequest request, double place)
        {
            var tier = ResumeTier.Unspecified;
            try
            {
                if (kind.StopsInside && StopIn(await ReadAsync(request)) is { } stop)
                    request.Stop.Add(stop);

                var whole = await ReadAsync(request);
                tier = whole.Tier;
                // As a gateway does: an answer with a seed of the client's is made again first.
                var isRepeated = tier == ResumeTier.Tokens && request.Sampling.HasSeed && !ResumeTiers.IsGreedy(request.Sampling);
                var cut = tier > ResumeTier.None && !isRepeated ? whole.CutAt(place) : null;
                RecordedAnswer again;
                try
                {
                    again = await ReadAsync(cut is { } at ? new GenerateRequest(request) { Resume = at.Journal } : request);
                }
                catch (FaultException refusal) when (refusal.Fault == Fault.ResumeRefused && cut is not null)
                {
                    // As a gateway does: a tool call is made again.
                    (again, cut) = (await ReadAsync(request), null);
                }

                var isShown = kind.WantsCalls ? whole.HasOtherDeltas : whole.Reasoning.Length > 0;
                var difference = DifferenceOf(whole, again, cut) is not { } what ? null
                    : cut is null ? $"made again it is another answer: {what} differs"
                    : $"after {cut.Value.Journal.NextIndex} tokens it goes on otherwise: {what} differs";
                var told = tier == ResumeTier.None && whole.RepeatsExactly ? ResumeTier.Exact : tier;
                return new Outcome(told, difference, isShown) { IsMadeAgain = tier == ResumeTier.None };
            }
            catch (FaultException exception)
            {
                return new Outcome(tier, exception.Message, IsShown: false);
            }
        }

        private static string? DifferenceOf(RecordedAnswer whole, RecordedAnswer again, (Resume Journal, int Said)? cut)
        {
            // A server that continues a text does not count the whole answer: there is no usage then.
            var isUsageTold = whole.Usage is not null && (cut is null || whole.Tier > ResumeTier.Text || again.Usage is not null);
            var toldBefore = cut is { } place ? whole.LogprobsUntil(place.Journal.NextIndex) : 0;
            var logprobs = whole.Tier > ResumeTier.Text ? whole.Logprobs.Skip(toldBefore) : again.Logprobs;
            return !again.Said.SequenceEqual(whole.Said[(cut?.Said ?? 0)..]) ? "the text"
                : WithoutIds(again.OtherDeltas) != WithoutIds(whole.OtherDeltas) ? "a tool call"
                : again.Reason != whole.Reason ? "the finish reason"
                : !again.Logprobs.SequenceEqual(logprobs) ? "a log probability"
                : isUsageTold && CountsOf(again.Usage) != CountsOf(whole.Usage) ? "the usage"
                : whole.Usage is { Raw.IsEmpty: false } all && again.Usage is { Raw.IsEmpty: false } rest && DetailsOf(all) != DetailsOf(rest)
                    ? "a detail of the usage"
                : null;
        }

        // How many tokens of the prompt were cached depends on what the server was asked before.
        private static string DetailsOf(Usage usage) => string.Join("; ", JsonElement.Parse(usage.Raw.Span).EnumerateObject()
            .Where(member => member.Value.ValueKind == JsonValueKind.Object)
            .SelectMany(member => member.Value.EnumerateObject().Where(count => count.Name != "cached_tokens")
                .Select(count => $"{member.Name}.{count.Name} {count.Value.GetRawText()}"))
            .Order(StringComparer.Ordinal));

        private static (uint? Prompt, uint? Answer) CountsOf(Usage? usage) => (usage?.PromptTokens, usage?.CompletionTokens);

        private async Task<RecordedAnswer> ReadAsync(GenerateRequest asked) =>
            await RecordedAnswer.ReadAsync(engine.GenerateAsync(asked, cancellationToken), int.MaxValue);

        // Some characters behind the middle; null if they are cut, or the answer is too short.
        private static string? StopIn(RecordedAnswer answer)
        {
            var text = Encoding.UTF8.GetString(answer.Content);
            var at = text.Length * 2 / 3;
            if (text.Length < at + StopCharacters)
                return null;

            var stop = text.Substring(at, StopCharacters);
            return stop.All(character => character is >= ' ' and <= '~') ? stop : null;
        }

        // Servers draw the ids of calls at random.
        private static string WithoutIds(string deltas) => IdMember().Replace(deltas, "");

        [GeneratedRegex("\"id\":\"[^\"]*\"", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1_000)]
        private static partial Regex IdMember();
    }
}
