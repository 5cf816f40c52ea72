using System.Text.RegularExpressions;

namespace Skein.Engines.OpenAiCompatible.Proofs;

/// <summary>How the lost answers of one kind of request come out.</summary>
/// <param name="Kind">What is asked for, such as <c>chat</c>.</param>
/// <param name="Tier">The tier that the answers state: with none they are made again, otherwise continued.</param>
/// <param name="Answers">Answers that were cut.</param>
/// <param name="Equal">Those that came out as the undisturbed one.</param>
/// <param name="Reason">What the first other one was, or why the kind is not served; empty: nothing.</param>
public sealed record EngineCheckRow(string Kind, ResumeTier Tier, int Answers, int Equal, string Reason)
{
    /// <summary>Whether an answer came out otherwise though its tier is exact.</summary>
    public bool IsPromiseBroken => Tier == ResumeTier.Exact && Equal < Answers;
}

/// <summary>
/// Checks how an engine continues: answers of each kind of request are cut at random points, continued as a lost answer would be, or made again, and compared
/// with the undisturbed ones: text, reasoning, calls, finish reason, log probabilities and token counts.
/// </summary>
public static partial class EngineCheck
{
    private const int AnswerTokens = 48;
    private const int MostReasonCharacters = 200;

    /// <summary>Of a log probability, where an exact answer is promised. A server prints a few digits.</summary>
    private const float MostLogprobDifference = 0.001f;

    private const string Object = """{"type":"object","properties":{"name":{"type":"string","maxLength":24}},"required":["name"]}""";

    private const string Schema = $$$"""{"type":"json_schema","json_schema":{"name":"city","schema":{{{Object}}}}}""";

    private const string Tools = $$$"""[{"type":"function","function":{"name":"look","parameters":{{{Object}}}}}]""";

    private static readonly (string Kind, bool IsChat, Action<GenerateRequest> Ask)[] Kinds =
    [
        ("completion", false, _ => { }),
        ("completion, logprobs", false, request => request.Logprobs = 1),
        ("completion, sampled", false, request => request.Sampling = new Sampling { Temperature = 1, Seed = 7 }),
        ("chat", true, _ => { }),
        ("chat, thinking off", true, request => AddMember(request, "chat_template_kwargs", """{"enable_thinking":false}""")),
        ("chat, stop text", true, request => request.Stop.Add(". ")),
        ("chat, end token ignored", true, request => AddMember(request, "ignore_eos", "true")),
        ("chat, logprobs", true, request => request.Logprobs = 1),
        ("chat, sampled with a seed", true, request => request.Sampling = new Sampling { Temperature = 1, Seed = 7 }),
        ("chat, JSON schema", true, request => request.Chat.ResponseFormat = ByteString.CopyFromUtf8(Schema)),
        ("chat, tools required", true, request =>
            (request.Chat.Tools, request.Chat.ToolChoice) = (ByteString.CopyFromUtf8(Tools), ByteString.CopyFromUtf8("\"required\""))),
        ("chat, tools auto", true, request => request.Chat.Tools = ByteString.CopyFromUtf8(Tools)),
    ];

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
        foreach (var (kind, isChat, ask) in Kinds)
        {
            var row = new EngineCheckRow(kind, ResumeTier.Unspecified, 0, 0, "");
            for (var i = 0; i < answers; i++)
            {
                var request = RequestOf(model, isChat, i);
                ask(request);
                row = Add(row, await CheckAsync(engine, request, random, cancellationToken));
                // The server does not serve this kind at all.
                if (row is { Answers: 1, Tier: ResumeTier.Unspecified })
                    break;
            }

            yield return row;
        }
    }

    private static EngineCheckRow Add(EngineCheckRow row, (ResumeTier Tier, string? Difference) result) => row with
    {
        // The lowest tier of all answers.
        Tier = row.Tier == ResumeTier.Unspecified || result.Tier < row.Tier ? result.Tier : row.Tier,
        Answers = row.Answers + 1,
        Equal = row.Equal + (result.Difference is null ? 1 : 0),
        Reason = row.Reason.Length > 0 || result.Difference is not { } difference ? row.Reason
            : difference.Length > MostReasonCharacters ? difference[..MostReasonCharacters] + "…" : difference,
    };

    /// <returns>The tier, and how the answer came out otherwise; null: it did not.</returns>
    private static async ValueTask<(ResumeTier Tier, string? Difference)> CheckAsync(
        IInferenceEngine engine, GenerateRequest request, Random random, CancellationToken cancellationToken)
    {
        var tier = ResumeTier.Unspecified;
        try
        {
            var whole = await ReadAsync(request);
            tier = whole.Tier;
            // As a gateway does: an answer with a seed of the client's is made again first.
            var isRepeated = tier == ResumeTier.Tokens && request.Sampling.HasSeed && !ResumeTiers.IsGreedy(request.Sampling);
            var cut = tier > ResumeTier.None && !isRepeated ? whole.CutAt(random) : null;
            RecordedAnswer again;
            try
            {
                again = cut is { } at ? await ReadAsync(new GenerateRequest(request) { Resume = at.Journal }) : await ReadAsync(request);
            }
            catch (FaultException refusal) when (refusal.Fault == Fault.ResumeRefused && cut is not null)
            {
                // As a gateway does: a tool call is made again.
                (again, cut) = (await ReadAsync(request), null);
            }

            return (tier, Difference(whole, again, cut));
        }
        catch (FaultException exception)
        {
            return (tier, exception.Message);
        }

        ValueTask<RecordedAnswer> ReadAsync(GenerateRequest asked) => RecordedAnswer.ReadAsync(engine.GenerateAsync(asked, cancellationToken), int.MaxValue);
    }

    /// <returns>What is other; null: nothing.</returns>
    private static string? Difference(RecordedAnswer whole, RecordedAnswer again, (Resume Journal, int Said)? cut)
    {
        var place = cut is { } at ? $"continued after {at.Journal.NextIndex} tokens" : "made again";
        if (!again.Said.SequenceEqual(whole.Said[(cut?.Said ?? 0)..]) || WithoutIds(again.OtherDeltas) != WithoutIds(whole.OtherDeltas))
            return $"{place}, it is another answer";
        if (again.Reason != whole.Reason)
            return $"{place}, it ends by {again.Reason} instead of {whole.Reason}";
        // An answer that goes on from its text is not counted as a whole.
        if (whole.Usage is { } usage && (again.Usage is not null || whole.Tier > ResumeTier.Text) && CountsOf(again.Usage) != CountsOf(usage))
            return $"{place}, it counts {CountsOf(again.Usage)} tokens of prompt and answer instead of {CountsOf(usage)}";
        if (whole.Tier != ResumeTier.Exact)
            return null;
        foreach (var (index, (token, logprob)) in whole.Logprobs.Where(known => known.Key >= (cut?.Journal.NextIndex ?? 0)))
        {
            if (!again.Logprobs.TryGetValue(index, out var other) || other.Token != token || !(Math.Abs(other.Logprob - logprob) <= MostLogprobDifference))
                return $"{place}, the log probability of token {index} is {other.Logprob} instead of {logprob}";
        }
        return null;
    }

    private static (uint Prompt, uint Answer)? CountsOf(Usage? usage) => usage is null ? null : (usage.PromptTokens, usage.CompletionTokens);

    private static void AddMember(GenerateRequest request, string name, string json) =>
        request.Extra.Add(new RawMember { Name = name, Json = ByteString.CopyFromUtf8(json) });

    // Servers draw the ids of calls at random.
    private static string WithoutIds(string deltas) => IdMember().Replace(deltas, "");

    [GeneratedRegex("\"id\":\"[^\"]*\"", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex IdMember();

    private static GenerateRequest RequestOf(string model, bool isChat, int number)
    {
        var text = $"{ContinuationProver.Texts[0]}, {number + 3} years ago, there was";
        var question = $"{ContinuationProver.Questions[0]} They are {number + 3} years old.";
        var request = new GenerateRequest { Model = model, MaxTokens = AnswerTokens, Sampling = new Sampling { Temperature = 0 } };
        if (isChat)
            request.Chat = new ChatPrompt { Messages = ByteString.CopyFromUtf8($$"""[{"role":"user","content":"{{question}}"}]""") };
        else
            request.Text = text;

        return request;
    }
}
