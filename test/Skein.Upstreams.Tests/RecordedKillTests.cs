using System.Collections.Concurrent;
using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>
/// Recorded requests to two servers with the rules of vLLM or SGLang, one of which dies in the middle of the answer: at the second token, in the middle, and
/// before the last one. The answer is that without a fault, member by member, usage included.
/// </summary>
public sealed class RecordedKillTests(RecordedKillTests.Pairs pairs, ITestOutputHelper output) : IClassFixture<RecordedKillTests.Pairs>
{
    /// <summary>Fewest tokens of an answer that can be cut.</summary>
    private const int FewestTokens = 3;

    /// <summary>Answers that one event brings whole: there is no middle.</summary>
    private static readonly string[] NotStreamed = ["completion-echo-logprobs"];

    /// <summary>Members that a continued answer does not have.</summary>
    private static readonly string[] NotKept = ["usage.completion_tokens_details", "usage.reasoning_tokens"];

    private static readonly string[] Texts =
        ["status", "content type", "choices.*.message.content:", "choices.*.delta.content:", "choices.*.text:", "choices.*.finish_reason", "[DONE]", "error"];

    public static TheoryData<string, string> Answers { get; } =
    [
        .. DialogueTests.Compared.Where(row => RecordedRules.Of(row.Data.Item1, parsesReasoning: false) is not null && !NotStreamed.Contains(row.Data.Item2))
            .Select(row => Dialogue.Read(row.Data.Item1).Single(dialogue => dialogue.Name == row.Data.Item2))
            .Where(dialogue => RecordedTokens.Of(dialogue) is { Count: > 0 } choices && choices.Max(choice => choice.Tokens.Count) >= FewestTokens)
            .Select(dialogue => (dialogue.Server, dialogue.Name)),
    ];

    [Theory]
    [MemberData(nameof(Answers))]
    public async Task KilledInMidAnswer_AnswerIsTheUndisturbedOne(string server, string name)
    {
        var pair = await pairs.GetAsync(server, DialogueTests.World.ParsesReasoning(name));
        var dialogue = Dialogue.Read(server).Single(dialogue => dialogue.Name == name);
        pair.Current = dialogue;
        var undisturbed = await pair.AskAsync(dialogue);
        var tokens = RecordedTokens.Of(dialogue).Max(choice => choice.Tokens.Count);

        foreach (var at in new[] { 1, tokens / 2, tokens - 1 }.Distinct())
        {
            pair.DieAt(at);
            var reply = await pair.AskAsync(dialogue);

            Assert.True(pair.HasDied, $"no server died at token {at} of {tokens}");
            var tier = reply.Header("x-skein-resume-tier");
            // The tier text promises the text: settings and members that the gateway does not know see only a part of the answer.
            IReadOnlyList<string> differences = [.. AnswerShape.Differences(undisturbed, reply, isUsageAsked: true)
                .Where(difference => !NotKept.Any(member => difference.StartsWith(member, StringComparison.Ordinal)))
                .Where(difference => tier != "text" || Texts.Any(member => difference.StartsWith(member, StringComparison.Ordinal)))];
            output.WriteLine($"token {at} of {tokens}, tier {tier}: {differences.Count} differences");
            // A generator begins anew when ids are continued: the tier promises the same distribution, not the same answer.
            var isSampled = dialogue.Asked?["temperature"]?.GetValue<double>() > 0;
            if (isSampled && tier is "tokens" or "text")
                continue;
            Assert.True(differences.Count == 0, $"token {at} of {tokens}, tier {tier}:\n{string.Join('\n', differences)}\n{reply}");
        }
    }

    /// <summary>Two servers and a gateway for each of the recorded servers, made when they are first needed.</summary>
    public sealed class Pairs : IAsyncDisposable
    {
        private readonly ConcurrentDictionary<string, Task<Pair>> _pairs = new(StringComparer.Ordinal);

        internal Task<Pair> GetAsync(string server, bool parsesReasoning) =>
            _pairs.GetOrAdd($"{server} {parsesReasoning}", _ => Pair.StartAsync(server, parsesReasoning));

        public async ValueTask DisposeAsync()
        {
            foreach (var starting in _pairs.Values.Where(pair => pair.IsCompletedSuccessfully))
                await (await starting).DisposeAsync();
        }
    }

    internal sealed class Pair : IAsyncDisposable
    {
        private readonly DialogueServer _first;
        private readonly DialogueServer _second;
        private TestGateway? _gateway;
        private int _dieAt = -1;

        private Pair(DialogueServer first, DialogueServer second) => (_first, _second) = (first, second);

        public Dialogue Current
        {
            set => _first.Current = _second.Current = value;
        }

        public bool HasDied => Volatile.Read(ref _dieAt) < 0;

        public static async Task<Pair> StartAsync(string server, bool parsesReasoning)
        {
            var pair = new Pair(new DialogueServer(server, parsesReasoning), new DialogueServer(server, parsesReasoning));
            pair._first.Rules!.Dies = pair._second.Rules!.Dies = index => Interlocked.CompareExchange(ref pair._dieAt, -1, index) == index;
            try
            {
                pair._gateway = await TestGateway.StartAsync(pair._first.Server, pair._second.Server);
                await pair._gateway.WhenTierAsync("tokens", pair._first.Server.Name, pair._second.Server.Name);
                return pair;
            }
            catch
            {
                await pair.DisposeAsync();
                throw;
            }
        }

        /// <summary>The next answer that reaches this token dies there.</summary>
        public void DieAt(int index) => Volatile.Write(ref _dieAt, index);

        public Task<Reply> AskAsync(Dialogue dialogue) => _gateway!.PostAsync(dialogue.Path, dialogue.Body);

        public async ValueTask DisposeAsync()
        {
            if (_gateway is { } gateway)
                await gateway.DisposeAsync();
            await _first.DisposeAsync();
            await _second.DisposeAsync();
        }
    }
}
