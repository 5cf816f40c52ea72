using System.Collections.Concurrent;
using System.Text;
using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>
/// Recorded requests, sent straight to a server that answers from the recordings and through a gateway in front of it: the answers say the same, but for
/// <see cref="AnswerShape.Known"/>.
/// </summary>
public sealed class DialogueTests(DialogueTests.Worlds worlds, ITestOutputHelper output) : IClassFixture<DialogueTests.Worlds>
{
    /// <summary>Paths that a client asks the gateway for.</summary>
    private static readonly string[] ClientPaths =
        ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/models", "/v1/rerank", "/tokenize", "/detokenize", "/v1/tokenize", "/v1/detokenize"];

    private const string MissingPrompt = "the gateway refuses a request without a prompt, in its own words";
    private const string OneModel = "the gateway answers for one model itself, also where the server does not";

    /// <summary>Dialogues that cannot be compared, each with its reason. By the beginning of their names.</summary>
    private static readonly (string Name, string Reason)[] NotCompared =
    [
        ("abort", "the client left in mid-answer"),
        ("chat-aborted", "the client left in mid-answer"),
        ("killed-", "the server died in mid-answer"),
        ("sigterm-", "the server died in mid-answer"),
        ("chat-engine-dead", "the server died"),
        ("auth-", "the key is the gateway's own, not the client's"),
        ("api-key-", "the key is the gateway's own, not the client's"),
        ("loading-", "the gateway waits until the model is loaded"),
        ("busy-", "the order of two requests"),
        ("host-foreign", "the host is the gateway's own"),
        ("chat-malformed", "the gateway refuses what is no JSON, in its own words"),
        ("chat-not-json", "the gateway refuses what is no JSON, in its own words"),
        ("malformed-json", "the gateway refuses what is no JSON, in its own words"),
        ("options", "the gateway answers OPTIONS itself"),
        ("get-on-", "the gateway refuses the method in its own words"),
        ("unknown-model", "the gateway knows which models there are"),
        ("chat-unknown-model", "the gateway knows which models there are"),
        ("prompt-ids-out-of-range", "the gateway refuses ids beyond the vocabulary itself"),
        ("no-messages", MissingPrompt),
        ("no-prompt", MissingPrompt),
        ("chat-no-messages", MissingPrompt),
        ("chat-input-ids-no-messages", MissingPrompt),
        ("completion-no-prompt", MissingPrompt),
        ("prompt-mixed", "the gateway refuses a prompt of texts and token ids at once"),
        ("v1-models-id", OneModel),
        ("model-by-id", OneModel),
        ("echo", "the gateway itself puts the prompt before the answer, also where the server does not"),
        ("keep-alive", "how the connection ends is the gateway's"),
        ("chat-n2", "the choices are generated side by side: which timings come last is a matter of chance"),
        ("completion-n2", "the choices are generated side by side: which timings come last is a matter of chance"),
    ];

    /// <summary>Dialogues that the gateway means to answer otherwise, each with its reason, where the server is known or where it is any server.</summary>
    private static readonly (string Mode, string Server, string Name, string Reason)[] Meant =
    [
        ("AsItself", "llama.cpp-b11669", "reasoning-none", "recorded with another flag than the server's properties tell: its chats are proven to differ, and left to the chat call"),
        ("AsItself", "llama.cpp-b11669", "prompt-array-of-strings", "the server's usage counts one of the prompts, the gateway's all"),
        ("AsItself", "llama.cpp-b11669", "prompt-array-of-ids-arrays", "the server's usage counts one of the prompts, the gateway's all"),
        ("AsItself", "llama.cpp-b11669", "best-of", "the gateway refuses best_of, which the server ignores"),
        ("AsItself", "llama.cpp-b11669", "suffix", "the gateway refuses suffix, which the server ignores"),
        ("AsItself", "ollama-0.13.5", "no-model", "the gateway, which serves two names of the model, refuses a request without one in its own words"),
        ("AsItself", "ollama-0.13.5", "v1-models", "the gateway lists name beside name:latest"),
        ("AsItself", "ollama-0.13.5", "tokenize", "the server's 404 in plain text becomes an error in OpenAI's form"),
        ("AsAnyServer", "vllm-0.32", "completion-echo-logprobs", "the gateway refuses echo with logprobs where it does not know what the server answers"),
        ("AsAnyServer", "sglang-0.5.23", "completion-echo-logprobs", "the gateway refuses echo with logprobs where it does not know what the server answers"),
    ];

    public static TheoryData<string, string> Compared { get; } =
    [
        .. Dialogue.Servers.SelectMany(Dialogue.Read).Where(dialogue => WhyNotCompared(dialogue) is null && !IsMeant(dialogue, "AsItself"))
            .Select(dialogue => (dialogue.Server, dialogue.Name)),
    ];

    /// <summary>Without those that ask for a model by a name that only the server's own profile knows.</summary>
    public static TheoryData<string, string> ComparedAsAnyServer { get; } =
    [
        .. Dialogue.Servers.SelectMany(Dialogue.Read)
            .Where(dialogue => WhyNotCompared(dialogue) is null && !IsMeant(dialogue, "AsAnyServer") && !(dialogue.Server.StartsWith("ollama", StringComparison.Ordinal) && IsWithoutTag(dialogue)))
            .Select(dialogue => (dialogue.Server, dialogue.Name)),
    ];

    /// <summary>Dialogues whose answers are known to differ today: "test server name", one a line.</summary>
    private static readonly Lazy<HashSet<string>> DiffersToday = new(() =>
        [.. File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Dialogues", "differs-today.txt")).Where(line => line.Length > 0 && line[0] != '#')]);

    /// <summary>The gateway treats the server as any other one: only the chat and completion calls.</summary>
    [Theory]
    [MemberData(nameof(ComparedAsAnyServer))]
    public Task AsAnyServer_SaysTheSameAsTheServer(string server, string name) => CompareAsync(server, name, "AsAnyServer", "openai");

    /// <summary>The gateway finds out what the server is.</summary>
    [Theory]
    [MemberData(nameof(Compared))]
    public Task AsItself_SaysTheSameAsTheServer(string server, string name) => CompareAsync(server, name, "AsItself", kind: null);

    /// <summary>Prints the dialogues that are not compared. Fails when a server has none that are.</summary>
    [Fact]
    public void Dialogues_AreCoveredOrListedWithAReason()
    {
        foreach (var server in Dialogue.Servers)
        {
            var dialogues = Dialogue.Read(server);
            var left = dialogues.Where(dialogue => WhyNotCompared(dialogue) is not null).ToList();
            output.WriteLine($"{server}: {dialogues.Count - left.Count} of {dialogues.Count} dialogues are compared");
            foreach (var group in left.GroupBy(WhyNotCompared))
                output.WriteLine($"  {group.Key}: {string.Join(", ", group.Select(dialogue => dialogue.Name))}");
            Assert.NotEqual(dialogues.Count, left.Count);
        }
        output.WriteLine("Differences that are meant:");
        foreach (var meant in Meant)
            output.WriteLine($"  {meant.Mode} {meant.Server} {meant.Name}: {meant.Reason}");
        foreach (var known in AnswerShape.Known)
            output.WriteLine($"  {known.Path}: {known.Reason}");
    }

    private static bool IsMeant(Dialogue dialogue, string mode) => Meant.Any(meant => (meant.Mode, meant.Server, meant.Name) == (mode, dialogue.Server, dialogue.Name));

    private static string? WhyNotCompared(Dialogue dialogue)
    {
        if (dialogue.Answer.Length == 0)
            return "the server gave no answer";
        if (NotCompared.FirstOrDefault(left => dialogue.Name.StartsWith(left.Name, StringComparison.Ordinal)) is { Reason: { } reason })
            return reason;
        var path = dialogue.Path.Split('?')[0];
        if (OtherApiDialogueTests.Covers(path))
            return $"{path} is compared by {nameof(OtherApiDialogueTests)}";
        if (!ClientPaths.Contains(path) && !path.StartsWith("/v1/models/", StringComparison.Ordinal))
            return $"{path} is no path of the gateway";
        if (dialogue.Method == "POST" && dialogue.Body.Length == 0)
            return "the recording has no body";
        return dialogue.IsWhole ? null : "the recording is not whole";
    }

    // Ollama lists "tiny:latest" and answers for "tiny" too.
    private static bool IsWithoutTag(Dialogue dialogue) => dialogue.Body.Contains("\"model\":\"tiny\"", StringComparison.Ordinal)
        || dialogue.Body.Contains("\"model\": \"tiny\"", StringComparison.Ordinal);

    private async Task CompareAsync(string server, string name, string mode, string? kind)
    {
        var world = await worlds.GetAsync(server, kind, World.ParsesReasoning(name));
        var dialogue = Dialogue.Read(server).Single(dialogue => dialogue.Name == name);
        world.Server.Current = dialogue;
        var direct = await AskAsync(world.Server.Server.Port, dialogue);
        world.Server.TakeNotes();

        var through = await AskAsync(world.Gateway.Port, dialogue);

        foreach (var note in world.Server.TakeNotes())
            output.WriteLine(note);
        var differences = AnswerShape.Differences(direct, through, dialogue.Body.Contains("include_usage", StringComparison.Ordinal));
        Assert.SkipWhen(
            differences.Count > 0 && DiffersToday.Value.Contains($"{mode} {server} {name}"), $"differs today: {string.Join(", ", differences.Take(1))}");
        Assert.True(differences.Count == 0,
            $"{server}/{name}:\n{string.Join('\n', differences)}\nrequest: {(dialogue.Body.Length > 300 ? dialogue.Body[..300] + "…" : dialogue.Body)}");
    }

    internal static async Task<Reply> AskAsync(int port, Dialogue dialogue)
    {
        var body = dialogue.Body;
        var content = body.Length > 0 ? $"Content-Type: application/json\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\n" : "";
        using var call = await Call.OpenAsync(port, $"{dialogue.Method} {dialogue.Path} HTTP/1.1\r\nHost: localhost\r\n{content}\r\n{body}");
        return await call.EndAsync();
    }

    /// <summary>A server and a gateway for each of the recorded servers, made when they are first needed.</summary>
    public sealed class Worlds : IAsyncDisposable
    {
        private readonly ConcurrentDictionary<string, Task<World>> _worlds = new(StringComparer.Ordinal);

        internal Task<World> GetAsync(string server, string? kind, bool parsesReasoning) =>
            _worlds.GetOrAdd($"{server} {kind} {parsesReasoning}", _ => World.StartAsync(server, kind, parsesReasoning));

        public async ValueTask DisposeAsync()
        {
            foreach (var starting in _worlds.Values.Where(world => world.IsCompletedSuccessfully))
            {
                var world = await starting;
                await world.Gateway.DisposeAsync();
                await world.Server.DisposeAsync();
            }
        }
    }

    internal sealed record World(DialogueServer Server, TestGateway Gateway)
    {
        /// <summary>Whether a dialogue was recorded with a parser of reasoning.</summary>
        public static bool ParsesReasoning(string dialogue) =>
            dialogue.StartsWith("chat-reasoning-", StringComparison.Ordinal) || dialogue.EndsWith("-with-reasoning", StringComparison.Ordinal);

        public static async Task<World> StartAsync(string name, string? kind, bool parsesReasoning)
        {
            var server = new DialogueServer(name, parsesReasoning);
            var setup = new TestGateway.Setup { NoReplicaTimeout = TimeSpan.FromSeconds(2), Server = options => options with { Kind = kind } };
            try
            {
                var gateway = await TestGateway.StartAsync(setup, server.Server);
                // Some calls are used once they are proven.
                if (kind is null && server.Rules is { } rules)
                    await gateway.WhenTierAsync(rules.Tier, server.Server.Name);
                return new World(server, gateway);
            }
            catch
            {
                await server.DisposeAsync();
                throw;
            }
        }
    }
}
