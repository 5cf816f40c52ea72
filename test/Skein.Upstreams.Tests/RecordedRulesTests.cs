using System.Text;
using System.Text.Json.Nodes;
using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>The scripted servers with the rules of vLLM and SGLang answer every recorded request as the recording does.</summary>
public sealed class RecordedRulesTests
{
    public static TheoryData<string> Servers { get; } = [.. Dialogue.Servers.Where(server => RecordedRules.Of(server, parsesReasoning: false) is not null)];

    [Theory]
    [MemberData(nameof(Servers))]
    public async Task RecordedRequest_IsAnsweredAsRecorded(string server)
    {
        await using var plain = new DialogueServer(server);
        await using var parsing = new DialogueServer(server, parsesReasoning: true);
        var problems = new List<string>();
        var generations = 0;
        foreach (var dialogue in Dialogue.Read(server).Where(IsRequest))
        {
            var scripted = DialogueTests.World.ParsesReasoning(dialogue.Name) ? parsing : plain;
            var isGeneration = dialogue.Method == "POST" && dialogue.Asked is not null && (dialogue.IsStreamed || dialogue.AnswerBody is ['{' or '[', ..]);
            scripted.Current = isGeneration ? dialogue : null;
            var recorded = Reply.Parse(Encoding.Latin1.GetString(dialogue.Answer), TimeSpan.Zero);

            var reply = await DialogueTests.AskAsync(scripted.Server.Port, dialogue);

            problems.AddRange(Differences(recorded, reply).Select(difference => $"{dialogue.Name}: {difference}"));
            if (!isGeneration || RecordedTokens.Of(dialogue) is not [var choice] || choice.Tokens.Count == 0)
                continue;
            generations++;
            problems.AddRange((await StreamedAsync(scripted, dialogue, recorded)).Select(difference => $"{dialogue.Name}, streamed: {difference}"));
        }
        Assert.True(problems.Count == 0, string.Join('\n', problems));
        Assert.InRange(generations, 20, 200);
    }

    private static IEnumerable<string> Differences(Reply recorded, Reply reply) =>
        recorded.Status != reply.Status ? [$"status: {recorded.Status} -> {reply.Status}"]
        : recorded.Body == reply.Body ? []
        : recorded.Status >= 400 ? [$"error: {recorded.Body} -> {reply.Body}"]
        : AnswerShape.Differences(recorded, reply, isUsageAsked: true);

    // Those with a key are for a server that was started with one, and an abort is for an answer that runs. What is no JSON is refused before a rule is asked.
    private static bool IsRequest(Dialogue dialogue) => !dialogue.Name.StartsWith("auth-", StringComparison.Ordinal)
        && !dialogue.Name.StartsWith("abort", StringComparison.Ordinal)
        && dialogue.Answer.Length > 0 && dialogue.IsWhole && (dialogue.Body.Length == 0 || dialogue.Asked is not null);

    /// <summary>As the gateway asks, which streams every answer.</summary>
    private static async Task<IReadOnlyList<string>> StreamedAsync(DialogueServer scripted, Dialogue dialogue, Reply recorded)
    {
        var body = JsonNode.Parse(dialogue.Body)!.AsObject();
        body["stream"] = true;
        var reply = await DialogueTests.AskAsync(scripted.Server.Port, dialogue with { Body = body.ToJsonString() });
        (string Name, string? Recorded, string? Said)[] parts =
        [
            ("status", $"{recorded.Status}", $"{reply.Status}"),
            ("text", recorded.Text, reply.Text),
            ("finish_reason", string.Join(',', recorded.FinishReasons), string.Join(',', reply.FinishReasons)),
            ("usage", $"{recorded.Usage}", $"{reply.Usage}"),
        ];
        return [.. parts.Where(part => part.Recorded != part.Said).Select(part => $"{part.Name}: {part.Recorded} -> {part.Said}")];
    }
}
