using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>
/// Recorded requests to <c>/v1/responses</c> and <c>/v1/messages</c>. The gateway serves both through the server's chat call; here the chat call says the text
/// of the recording. The answer is the server's own in what clients read: kinds of items and events, text, reason of the end, token counts.
/// </summary>
public sealed class OtherApiDialogueTests(DialogueTests.Worlds worlds) : IClassFixture<DialogueTests.Worlds>
{
    private const string Chat = "/v1/chat/completions";

    private const string CountPath = "/v1/messages/count_tokens";

    private static readonly string[] Paths = ["/v1/responses", "/v1/messages"];

    /// <summary>Whether these tests have a recording of this path.</summary>
    public static bool Covers(string path) => path == CountPath || Paths.Contains(path);

    public static TheoryData<string, string> Answered { get; } =
    [
        .. Dialogue.Servers.SelectMany(Dialogue.Read)
            .Where(dialogue => Paths.Contains(dialogue.Path) && dialogue is { Status: 200, Body.Length: > 0 } && !dialogue.AnswerBody.Contains("event: error", StringComparison.Ordinal))
            .Select(dialogue => (dialogue.Server, dialogue.Name)),
    ];

    public static TheoryData<string, string> Counted { get; } =
    [
        .. Dialogue.Servers.SelectMany(Dialogue.Read).Where(dialogue => dialogue is { Path: CountPath, Status: 200 }).Select(dialogue => (dialogue.Server, dialogue.Name)),
    ];

    /// <summary>Servers without these calls: the gateway answers all the same.</summary>
    public static TheoryData<string, string> Missing { get; } =
    [
        .. Dialogue.Servers.SelectMany(Dialogue.Read)
            .Where(dialogue => Paths.Contains(dialogue.Path) && dialogue.Status == 404 && !dialogue.AnswerBody.Contains("does not exist", StringComparison.Ordinal)
                && !dialogue.Body.Contains("previous_response_id", StringComparison.Ordinal))
            .Select(dialogue => (dialogue.Server, dialogue.Name)),
    ];

    [Theory]
    [MemberData(nameof(Answered))]
    public async Task ServerHasTheCall_GatewaySaysTheSame(string server, string name)
    {
        var dialogue = Dialogue.Read(server).Single(dialogue => dialogue.Name == name);
        var said = Said.Of(Reply.Parse(Encoding.Latin1.GetString(dialogue.Answer), TimeSpan.Zero), dialogue.Path);
        Assert.NotEqual("", said.Text);

        var told = Said.Of(await AskAsync(dialogue, said), dialogue.Path);

        // OpenAI's API calls an answer that max_output_tokens ended incomplete. llama.cpp, Ollama and the streams of vLLM call it completed.
        if (dialogue.Path == "/v1/responses")
            said = said with { End = "incomplete", Events = said.Events.Replace("response.completed", "response.incomplete", StringComparison.Ordinal) };
        Assert.Equal(said, told);
    }

    [Theory]
    [MemberData(nameof(Missing))]
    public async Task ServerLacksTheCall_GatewayAnswersThroughTheChatCall(string server, string name)
    {
        var dialogue = Dialogue.Read(server).Single(dialogue => dialogue.Name == name);

        var told = Said.Of(await AskAsync(dialogue, new Said("", "", "a tale", "", Prompt: 20, Answer: 4)), dialogue.Path);

        Assert.Equal(("a tale", 20, 4), (told.Text, told.Prompt, told.Answer));
    }

    [Theory]
    [MemberData(nameof(Counted))]
    public async Task ServerCountsTokens_GatewayCountsTheSame(string server, string name)
    {
        var dialogue = Dialogue.Read(server).Single(dialogue => dialogue.Name == name);
        var counted = JsonNode.Parse(dialogue.AnswerBody)!["input_tokens"]!.GetValue<int>();

        var reply = await AskAsync(dialogue, new Said("", "", "a", "", counted, Answer: 1));

        Assert.Equal(counted, reply.Json.GetProperty("input_tokens").GetInt32());
    }

    private async Task<Reply> AskAsync(Dialogue dialogue, Said said)
    {
        // Only Ollama's own profile knows that its models have short names.
        var kind = dialogue.Server.StartsWith("ollama", StringComparison.Ordinal) ? null : "openai";
        var world = await worlds.GetAsync(dialogue.Server, kind, parsesReasoning: false);
        world.Server.Current = AsChat(dialogue, said);
        var reply = await world.Gateway.PostAsync(dialogue.Path, dialogue.Body);
        Assert.True(reply.Status == 200, reply.ToString());
        return reply;
    }

    /// <summary>The same question as a chat, whose answer is the recorded one.</summary>
    private static Dialogue AsChat(Dialogue dialogue, Said said)
    {
        var asked = JsonNode.Parse(dialogue.Body)!.AsObject();
        var chat = new JsonObject
        {
            ["model"] = asked["model"]?.DeepClone() ?? "any",
            ["messages"] = asked["messages"]?.DeepClone() ?? new JsonArray(new JsonObject { ["role"] = "user", ["content"] = asked["input"]!.DeepClone() }),
            ["max_tokens"] = (asked["max_tokens"] ?? asked["max_output_tokens"] ?? 1).DeepClone(),
        };
        if (asked["temperature"] is { } temperature)
            chat["temperature"] = temperature.DeepClone();
        var answer = JsonSerializer.Serialize(new
        {
            id = "c-1", @object = "chat.completion", created = 1, model = chat["model"]!.ToString(),
            choices = new[] { new { index = 0, message = new { role = "assistant", content = said.Text }, finish_reason = "length" } },
            usage = new { prompt_tokens = said.Prompt, completion_tokens = said.Answer, total_tokens = said.Prompt + said.Answer },
        });
        return dialogue with
        {
            Path = Chat, Body = chat.ToJsonString(),
            Answer = Encoding.UTF8.GetBytes($"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {Encoding.UTF8.GetByteCount(answer)}\r\nConnection: close\r\n\r\n{answer}"),
        };
    }

    /// <summary>What clients read of an answer.</summary>
    /// <param name="Kinds">The kind of the answer and of its parts.</param>
    /// <param name="Events">The kinds of events in their order, each once in a row; empty: it is no stream.</param>
    /// <param name="End">Status or reason of the end.</param>
    private sealed record Said(string Kinds, string Events, string Text, string End, int Prompt, int Answer)
    {
        public static Said Of(Reply reply, string path) => path == "/v1/responses" ? OfResponse(reply) : OfMessage(reply);

        private static Said OfResponse(Reply reply)
        {
            var whole = reply.IsStream ? reply.Chunks[^1].GetProperty("response") : reply.Json;
            var parts = whole.GetProperty("output").EnumerateArray().SelectMany(item => item.GetProperty("content").EnumerateArray()).ToList();
            var text = string.Concat(parts.Select(part => part.GetProperty("text").GetString()));
            if (reply.IsStream)
                Assert.Equal(text, string.Concat(reply.Chunks.Where(data => TypeOf(data) == "response.output_text.delta").Select(data => data.GetProperty("delta").GetString())));
            var usage = whole.GetProperty("usage");
            return new Said(
                $"{whole.GetProperty("object").GetString()} {string.Join(' ', parts.Select(TypeOf))}", EventsOf(reply), text, whole.GetProperty("status").GetString()!,
                usage.GetProperty("input_tokens").GetInt32(), usage.GetProperty("output_tokens").GetInt32());
        }

        private static Said OfMessage(Reply reply)
        {
            if (!reply.IsStream)
            {
                var blocks = reply.Json.GetProperty("content").EnumerateArray().ToList();
                return new Said(
                    $"{TypeOf(reply.Json)} {string.Join(' ', blocks.Select(TypeOf))}", "", string.Concat(blocks.Select(block => block.GetProperty("text").GetString())),
                    reply.Json.GetProperty("stop_reason").GetString()!, InputOf(reply.Json.GetProperty("usage")),
                    reply.Json.GetProperty("usage").GetProperty("output_tokens").GetInt32());
            }
            JsonElement EventOf(string type) => reply.Chunks.Single(data => TypeOf(data) == type);
            var (start, last) = (EventOf("message_start").GetProperty("message"), EventOf("message_delta"));
            var deltas = reply.Chunks.Where(data => TypeOf(data) == "content_block_delta").Select(data => data.GetProperty("delta").GetProperty("text").GetString());
            // Both events may have the count of the prompt; the gateway knows it at the end.
            var counted = Reply.Find(last.GetProperty("usage"), "input_tokens") is null ? start.GetProperty("usage") : last.GetProperty("usage");
            return new Said(
                $"{TypeOf(start)} {TypeOf(EventOf("content_block_start").GetProperty("content_block"))}", EventsOf(reply), string.Concat(deltas),
                last.GetProperty("delta").GetProperty("stop_reason").GetString()!, InputOf(counted), last.GetProperty("usage").GetProperty("output_tokens").GetInt32());
        }

        private static int InputOf(JsonElement usage) => usage.GetProperty("input_tokens").GetInt32()
            + (Reply.Find(usage, "cache_read_input_tokens") is { ValueKind: JsonValueKind.Number } cached ? cached.GetInt32() : 0);

        private static string? TypeOf(JsonElement data) => data.GetProperty("type").GetString();

        private static string EventsOf(Reply reply)
        {
            var kinds = reply.IsStream ? reply.Chunks.Select(TypeOf).Where(type => type != "ping").ToList() : [];
            return string.Join(' ', kinds.Where((type, index) => index == 0 || kinds[index - 1] != type));
        }
    }
}
