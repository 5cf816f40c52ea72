namespace Skein.Engines.OpenAiCompatible.Proofs;

/// <summary>A kind of request whose lost answers are checked. Immutable.</summary>
/// <param name="Name">What is asked for, such as <c>chat</c>.</param>
/// <param name="IsChat">Whether it is a chat, or a completion.</param>
/// <param name="Ask">Adds to a plain greedy request.</param>
internal sealed record EngineCheckKind(string Name, bool IsChat, Action<GenerateRequest> Ask)
{
    private const int AnswerTokens = 48;

    private const string Object = """{"type":"object","properties":{"name":{"type":"string","maxLength":24}},"required":["name"]}""";

    private const string Schema = $$$"""{"type":"json_schema","json_schema":{"name":"city","schema":{{{Object}}}}}""";

    private const string Tools = $$$"""[{"type":"function","function":{"name":"look","parameters":{{{Object}}}}}]""";

    /// <summary>Number of choices, which are generated and cut at the same time.</summary>
    public int Choices { get; init; } = 1;

    /// <summary>Whether a piece of the undisturbed answer is its stop text.</summary>
    public bool StopsInside { get; init; }

    /// <summary>Whether its answers are to have a reasoning.</summary>
    public bool WantsReasoning { get; init; }

    /// <summary>Whether its answers are to have tool calls.</summary>
    public bool WantsCalls { get; init; }

    /// <summary>The beginning of the answer, which the client gives; empty: none.</summary>
    public string Begun { get; init; } = "";

    public static IReadOnlyList<EngineCheckKind> All { get; } =
    [
        new("completion", IsChat: false, _ => { }),
        new("completion, logprobs", IsChat: false, request => request.Logprobs = 1),
        new("completion, sampled with a seed", IsChat: false, Sample),
        new("chat", IsChat: true, _ => { }),
        new("chat, reasoning", IsChat: true, request => AddMember(request, "chat_template_kwargs", """{"enable_thinking":true}""")) { WantsReasoning = true },
        new("chat, thinking off", IsChat: true, request => AddMember(request, "chat_template_kwargs", """{"enable_thinking":false}""")),
        new("chat, end token ignored", IsChat: true, request => AddMember(request, "ignore_eos", "true")),
        new("chat, stop text", IsChat: true, _ => { }) { StopsInside = true },
        new("chat, logprobs", IsChat: true, request => request.Logprobs = 1),
        new("chat, n = 2", IsChat: true, _ => { }) { Choices = 2 },
        new("chat, sampled with a seed", IsChat: true, Sample),
        new("chat, token ids", IsChat: true, request => AddMember(request, "return_token_ids", "true")),
        new("chat, begun by the client", IsChat: true, _ => { }) { Begun = "Once upon a time, there" },
        new("chat, JSON schema", IsChat: true, AskForObject),
        new("chat, JSON schema, logprobs", IsChat: true, request =>
        {
            AskForObject(request);
            request.Logprobs = 1;
        }),
        new("chat, tools required", IsChat: true, RequireCall) { WantsCalls = true },
        new("chat, tools required, streamed", IsChat: true, request =>
        {
            RequireCall(request);
            request.StreamToolCalls = true;
        }) { WantsCalls = true },
        new("chat, tools auto", IsChat: true, request => request.Chat.Tools = ByteString.CopyFromUtf8(Tools)) { WantsCalls = true },
    ];

    /// <param name="number">Of the answer: each one has another question.</param>
    public GenerateRequest RequestOf(string model, int number)
    {
        var text = $"{ContinuationProver.Texts[0]}, {number + 3} years ago, there was";
        var question = $"{ContinuationProver.Questions[0]} They are {number + 3} years old.";
        var request = new GenerateRequest { Model = model, MaxTokens = AnswerTokens, Sampling = new Sampling { Temperature = 0 } };
        if (IsChat)
        {
            var begun = Begun.Length > 0 ? $$""",{"role":"assistant","content":"{{Begun}}"}""" : "";
            request.Chat = new ChatPrompt { Messages = ByteString.CopyFromUtf8($$"""[{"role":"user","content":"{{question}}"}{{begun}}]""") };
        }
        else
        {
            request.Text = text;
        }

        Ask(request);
        return request;
    }

    private static void Sample(GenerateRequest request) => request.Sampling = new Sampling { Temperature = 1, Seed = 7 };

    private static void AskForObject(GenerateRequest request) => request.Chat.ResponseFormat = ByteString.CopyFromUtf8(Schema);

    private static void RequireCall(GenerateRequest request) =>
        (request.Chat.Tools, request.Chat.ToolChoice) = (ByteString.CopyFromUtf8(Tools), ByteString.CopyFromUtf8("\"required\""));

    // Templates whose thinking can be switched read enable_thinking; others ignore it.
    private static void AddMember(GenerateRequest request, string name, string json) =>
        request.Extra.Add(new RawMember { Name = name, Json = ByteString.CopyFromUtf8(json) });
}
