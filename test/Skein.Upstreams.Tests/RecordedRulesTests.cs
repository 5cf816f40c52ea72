using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>The scripted servers with the rules of vLLM and SGLang answer every recorded request as the recording does.</summary>
public sealed class RecordedRulesTests
{
    /// <summary>Recorded with other flags or in another state: with a key, while an answer or the model's loading was under way, with a small context.</summary>
    private static readonly string[] OtherServers =
        [" auth-", " api-key-", " abort", " loading-", "llama.cpp-b11669 context-overflow", "llama.cpp-b11669 embeddings-on", " metrics-busy", " slots-after", " slots-busy",
            " host-foreign", "ollama-0.13.5 api-chat-whole",
            // The server with rules has more tokens.
            "llama.cpp-4227c9b models", "llama.cpp-b11669 models"];

    /// <summary>Calls that generate nothing, or that the gateway does not use.</summary>
    private static readonly string[] OtherCalls = ["/embeddings", "/api/"];

    public static TheoryData<string> Servers { get; } = [.. Dialogue.Servers.Where(server => RecordedRules.Of(server, parsesReasoning: false) is not null)];

    [Theory]
    [MemberData(nameof(Servers))]
    public async Task RecordedRequest_IsAnsweredAsRecorded(string server)
    {
        await using var plain = new DialogueServer(server);
        await using var parsing = new DialogueServer(server, parsesReasoning: true);
        var problems = new List<string>();
        var (generations, refusals) = (0, 0);
        foreach (var dialogue in Dialogue.Read(server).Where(IsRequest))
        {
            var scripted = DialogueTests.World.ParsesReasoning(dialogue.Name) ? parsing : plain;
            var isGeneration = dialogue.Method == "POST" && !OtherCalls.Any(dialogue.Path.Contains) && dialogue.Asked is not null && (dialogue.IsStreamed || dialogue.AnswerBody is ['{' or '[', ..]);
            scripted.Current = isGeneration ? dialogue : null;
            var recorded = Reply.Parse(Encoding.Latin1.GetString(dialogue.Answer), TimeSpan.Zero);

            var reply = await DialogueTests.AskAsync(scripted.Server.Port, dialogue);

            problems.AddRange(Differences(recorded, reply).Select(difference => $"{dialogue.Name}: {difference}"));
            if (!isGeneration)
                continue;
            generations += recorded.Status == 200 ? 1 : 0;
            refusals += recorded.Status == 200 ? 0 : 1;
            problems.AddRange((await StreamedAsync(scripted, dialogue, recorded)).Select(difference => $"{dialogue.Name}, streamed: {difference}"));
        }
        Assert.True(problems.Count == 0, string.Join('\n', problems));
        // Fewer were recorded of an older version, and of Ollama.
        var (fewestGenerations, fewestRefusals) = server is "llama.cpp-4227c9b" or "ollama-0.13.5" ? (20, 3) : (30, 5);
        Assert.InRange(generations, fewestGenerations, 200);
        Assert.InRange(refusals, fewestRefusals, 100);
    }

    private static IEnumerable<string> Differences(Reply recorded, Reply reply) =>
        recorded.Status != reply.Status ? [$"status: {recorded.Status} -> {reply.Status}"]
        : recorded.Body == reply.Body ? []
        : recorded.Status >= 400 ? [$"error: {recorded.Body} -> {reply.Body}"]
        : AnswerShape.Differences(recorded, reply, isUsageAsked: true);

    // What is no JSON is refused before a rule is asked.
    private static bool IsRequest(Dialogue dialogue) => !OtherServers.Any(name => $"{dialogue.Server} {dialogue.Name}".Contains(name, StringComparison.Ordinal))
        && dialogue.Answer.Length > 0 && dialogue.IsWhole && (dialogue.Body.Length == 0 || dialogue.Asked is not null);

    /// <summary>As the gateway asks, which streams every answer.</summary>
    private static async Task<IReadOnlyList<string>> StreamedAsync(DialogueServer scripted, Dialogue dialogue, Reply recorded)
    {
        var body = JsonNode.Parse(dialogue.Body)!.AsObject();
        body["stream"] = true;
        var reply = await DialogueTests.AskAsync(scripted.Server.Port, dialogue with { Body = body.ToJsonString() });
        if (recorded.Status >= 400)
            return [.. Differences(recorded, reply)];
        var (wanted, said) = (PartsOf(recorded), PartsOf(reply));
        return [.. wanted.Keys.Union(said.Keys).Order(StringComparer.Ordinal).Where(name => wanted.GetValueOrDefault(name) != said.GetValueOrDefault(name))
            .Select(name => $"{name}: {wanted.GetValueOrDefault(name) ?? "absent"} -> {said.GetValueOrDefault(name) ?? "absent"}")];
    }

    /// <summary>What an answer says, whole or in pieces: texts, reasoning, calls, ids, log probabilities and ends of its choices, and the usage.</summary>
    private static SortedDictionary<string, string> PartsOf(Reply reply)
    {
        var parts = new SortedDictionary<string, string>(StringComparer.Ordinal) { ["status"] = $"{reply.Status}", ["usage"] = $"{reply.Usage}" };
        foreach (var choice in reply.Choices)
        {
            var name = $"choice {Reply.Find(choice, "index")?.GetInt32() ?? 0}";
            var said = Reply.Find(choice, "delta") ?? Reply.Find(choice, "message") ?? choice;
            foreach (var member in (string[])["content", "text", "reasoning", "reasoning_content"])
                Add($"{name} {member}", Reply.Find(said, member) is { ValueKind: JsonValueKind.String } text ? text.GetString()! : "");
            foreach (var member in (string[])["finish_reason", "stop_reason", "matched_stop"])
                Add($"{name} {member}", Reply.Find(choice, member) is { ValueKind: not JsonValueKind.Null } end ? end.GetRawText() : "");
            AddItems($"{name} token_ids", Reply.Find(choice, "token_ids"));
            if (Reply.Find(choice, "logprobs") is { ValueKind: JsonValueKind.Object } logprobs)
            {
                foreach (var list in logprobs.EnumerateObject())
                    AddItems($"{name} logprobs.{list.Name}", list.Value);
            }
            var position = 0;
            foreach (var call in Reply.Find(said, "tool_calls") is { ValueKind: JsonValueKind.Array } calls ? calls.EnumerateArray() : default)
            {
                var number = Reply.Find(call, "index")?.GetInt32() ?? position;
                position++;
                foreach (var member in (string[])["name", "arguments"])
                    Add($"{name} call {number} {member}", Reply.Find(Reply.Find(call, "function") ?? default, member)?.GetString() ?? "");
            }
        }
        return parts;

        void Add(string part, string text)
        {
            if (text.Length > 0)
                parts[part] = parts.GetValueOrDefault(part) + text;
        }

        void AddItems(string part, JsonElement? list)
        {
            foreach (var item in list is { ValueKind: JsonValueKind.Array } items ? items.EnumerateArray() : default)
                Add(part, JsonNode.Parse(item.GetRawText())?.ToJsonString() + " ");
        }
    }
}
