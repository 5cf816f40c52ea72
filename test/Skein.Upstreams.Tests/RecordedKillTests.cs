using System.Collections.Concurrent;
using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>
/// Recorded requests to two servers with the rules of vLLM, SGLang, llama.cpp or Ollama, one of which dies in the middle of the answer: at the second token,
/// in the middle, and before the last one. The answer is that without a fault, member by member, usage included.
/// </summary>
public sealed class RecordedKillTests(RecordedKillTests.Pairs pairs, ITestOutputHelper output) : IClassFixture<RecordedKillTests.Pairs>
{
    /// <summary>Fewest tokens of an answer that can be cut.</summary>
    private const int FewestTokens = 3;

    /// <summary>Answers that one event brings whole, or that are asked for whole: there is no middle.</summary>
    private static bool IsNotStreamed(Dialogue dialogue) => dialogue.Name == "completion-echo-logprobs"
        // llama.cpp repeats a client's beginning of the answer, and tells probabilities of hidden tokens, in whole answers only.
        || (dialogue.Server.StartsWith("llama.cpp-", StringComparison.Ordinal) && !dialogue.IsStreamed && dialogue.Path.Contains("/chat/", StringComparison.Ordinal)
            && (dialogue.Asked!.ContainsKey("logprobs") || dialogue.Asked["messages"]?.AsArray().LastOrDefault()?["role"]?.ToString() == "assistant"));

    /// <summary>Several choices are not compared without a fault, where the order of their counts is chance.</summary>
    private static readonly string[] Choices = ["chat-n2", "chat-n2-stream"];

    /// <summary>
    /// What the tier text does not promise: offsets count from where the server went on, and bytes of tokens that are told by their ids are not told.
    /// </summary>
    private static readonly string[] OfText = ["choices.*.logprobs.text_offset", "choices.*.logprobs.content.*.bytes"];

    /// <summary>What the tier tokens does not promise of a sampled answer: a generator begins anew where ids are continued.</summary>
    private static readonly string[] Sampled =
        ["choices.*.message.content:", "choices.*.delta.content:", "choices.*.text:", "choices.*.message.reasoning", "choices.*.delta.reasoning", "choices.*.logprobs",
            "choices.*.token_ids", "choices.*.finish_reason", "usage.completion_tokens", "usage.total_tokens"];

    /// <summary>What llama.cpp measured of the last attempt.</summary>
    private const string Timings = "timings.";

    public static TheoryData<string, string> Answers { get; } =
    [
        .. Dialogue.Servers.Where(server => RecordedRules.Of(server, parsesReasoning: false) is not null).SelectMany(Dialogue.Read)
            .Where(dialogue => (Choices.Contains(dialogue.Name) && RecordedTokens.Of(dialogue).Count > 1)
                || (DialogueTests.Compared.Any(row => row.Data == (dialogue.Server, dialogue.Name)) && !IsNotStreamed(dialogue)))
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
            var isSampled = dialogue.Asked?["temperature"]?.GetValue<double>() > 0 && tier is "tokens" or "text";
            IReadOnlyList<string> differences = [.. AnswerShape.Differences(undisturbed, reply, isUsageAsked: true)
                .Where(difference => !difference.StartsWith(Timings, StringComparison.Ordinal))
                .Where(difference => tier != "text" || !OfText.Any(member => difference.StartsWith(member, StringComparison.Ordinal)))
                .Where(difference => !isSampled || !Sampled.Any(member => difference.StartsWith(member, StringComparison.Ordinal)))];
            output.WriteLine($"token {at} of {tokens}, tier {tier}: {differences.Count} differences");
            if (isSampled)
                AssertSampled(dialogue, reply, at);
            Assert.True(differences.Count == 0, $"token {at} of {tokens}, tier {tier}:\n{string.Join('\n', differences)}\n{reply}");
        }
    }

    [Theory]
    [InlineData("vllm-0.32", "chat-n2", "chat-stop", "chat-stream-logprobs", "chat-json-schema", "chat-tools-auto", "chat-reasoning-stream", "completion-logprobs")]
    [InlineData("sglang-0.5.23", "chat-n2-stream", "chat-stop-stream", "chat-stream-logprobs", "chat-json-schema", "chat-tools-auto", "chat-reasoning-stream")]
    [InlineData("llama.cpp-b11669", "chat-n2-stream", "chat-stop-stream", "chat-logprobs-stream", "json-schema-stream", "tools-auto-text", "reasoning-stream")]
    [InlineData("llama.cpp-b11669", "reasoning-auto", "completion-logprobs-stream", "completion-stop-whole", "utf8-split-stream", "completion-seed")]
    [InlineData("ollama-0.13.5", "chat-stream", "chat-whole", "chat-stop-stream", "completion-stream", "completion-whole")]
    public void Answers_HaveEachKindOfRequest(string server, params string[] names) =>
        Assert.Empty(names.Except(Answers.Where(row => row.Data.Item1 == server).Select(row => row.Data.Item2)));

    /// <summary>A sampled answer keeps what was delivered, has as many tokens as it may have, and ends once.</summary>
    private static void AssertSampled(Dialogue dialogue, Reply reply, int at)
    {
        var recorded = RecordedTokens.Of(dialogue);
        var texts = Enumerable.Range(0, recorded.Count).Select(reply.TextOfChoice).ToList();
        // The token at which the server died had not come.
        var begun = recorded.Select(choice => string.Concat(choice.Tokens.Take(at).Select(token => token.Text))).ToList();
        Assert.All(texts, text => Assert.Contains(begun, part => text.StartsWith(part, StringComparison.Ordinal)));
        Assert.Equal(recorded.Count, reply.FinishReasons.Count);
        Assert.DoesNotContain("error", reply.FinishReasons);
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
                await pair._gateway.WhenTierAsync(pair._first.Rules.Tier, pair._first.Server.Name, pair._second.Server.Name);
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
