using Google.Protobuf;
using Skein.Engines.OpenAiCompatible;
using Skein.Engines.OpenAiCompatible.LlamaCpp;
using Skein.Engines.OpenAiCompatible.Proofs;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>The table of docs/reference/engines.md, line by line.</summary>
public class ResumeTierTests
{
    private static readonly ModelProofs All = ModelProofs.Of(ContinuationProof.Proven);

    private static readonly ModelProofs ByText =
        All with { Ids = ContinuationProof.Not("it returns no token ids"), ChatIds = ContinuationProof.Not("it returns no token ids") };

    private const string Schema = """{"type":"json_schema","json_schema":{"schema":{}}}""";

    private static readonly Dictionary<string, Action<GenerateRequest>> Features = new()
    {
        ["greedy"] = _ => { },
        ["one candidate"] = request => request.Sampling = new Sampling { TopK = 1 },
        ["sampled"] = request => request.Sampling = new Sampling { Temperature = 0.5f, Seed = 1 },
        ["server's default"] = request => request.Sampling = null,
        ["logprobs"] = request => request.Logprobs = 2,
        ["template settings"] = request => request.Extra.Add(new RawMember { Name = "chat_template_kwargs", Json = ByteString.CopyFromUtf8("{}") }),
        ["asked ids"] = request => request.Extra.Add(new RawMember { Name = "return_token_ids", Json = ByteString.CopyFromUtf8("true") }),
        ["logit bias"] = request => request.Sampling.LogitBias[1] = 1,
        ["penalties"] = request => request.Sampling.FrequencyPenalty = 1,
        ["harmless member"] = request => request.Extra.Add(new RawMember { Name = "user", Json = ByteString.CopyFromUtf8("1") }),
        ["unknown member"] = request => request.Extra.Add(new RawMember { Name = "mirostat", Json = ByteString.CopyFromUtf8("2") }),
        ["grammar"] = request => request.Extra.Add(new RawMember { Name = "guided_json", Json = ByteString.CopyFromUtf8("{}") }),
        ["no grammar"] = request => request.Extra.Add(new RawMember { Name = "guided_json", Json = ByteString.CopyFromUtf8("null") }),
        ["no functions"] = request => request.Extra.Add(new RawMember { Name = "functions", Json = ByteString.CopyFromUtf8("[]") }),
        ["no tools"] = request => request.Chat.Tools = ByteString.CopyFromUtf8("[]"),
        ["no limit"] = request => request.Extra.Add(new RawMember { Name = "max_tokens", Json = ByteString.CopyFromUtf8("-1") }),
        ["no token"] = request => request.MaxTokens = 0,
        ["text format"] = request => request.Chat.ResponseFormat = ByteString.CopyFromUtf8("""{"type":"text"}"""),
        ["schema"] = request => request.Chat.ResponseFormat = ByteString.CopyFromUtf8(Schema),
        ["tools"] = request => request.Chat.Tools = ByteString.CopyFromUtf8("[{}]"),
        ["a tool required"] = request => (request.Chat.Tools, request.Chat.ToolChoice) = (ByteString.CopyFromUtf8("[{}]"), ByteString.CopyFromUtf8("\"required\"")),
        ["tools and a schema"] = request => (request.Chat.Tools, request.Chat.ResponseFormat) = (ByteString.CopyFromUtf8("[{}]"), ByteString.CopyFromUtf8(Schema)),
        ["tools, sampled"] = request => (request.Chat.Tools, request.Sampling) = (ByteString.CopyFromUtf8("[{}]"), new Sampling { Temperature = 1, Seed = 1 }),
        ["tools and an unknown member"] = request =>
        {
            request.Chat.Tools = ByteString.CopyFromUtf8("[{}]");
            request.Extra.Add(new RawMember { Name = "mirostat", Json = ByteString.CopyFromUtf8("2") });
        },
        ["no tool to be called"] = request => (request.Chat.Tools, request.Chat.ToolChoice) = (ByteString.CopyFromUtf8("[{}]"), ByteString.CopyFromUtf8("\"none\"")),
        ["begun by the client"] = request => request.Chat.Messages = ByteString.CopyFromUtf8("""[{"role":"assistant","content":"a"}]"""),
        ["verbose"] = request => request.Extra.Add(new RawMember { Name = "verbose", Json = ByteString.CopyFromUtf8("true") }),
        ["undivided"] = request => request.Extra.Add(new RawMember { Name = "reasoning_format", Json = ByteString.CopyFromUtf8("\"none\"") }),
        ["picture"] = request => request.Chat.Messages = ByteString.CopyFromUtf8("""[{"role":"user","content":[{"type":"image_url"}]}]"""),
    };

    [Theory]
    [InlineData("greedy", "ids exact", "ids exact", "ids exact", "text")]
    [InlineData("one candidate", "ids exact", "ids exact", "ids exact", "text")]
    [InlineData("sampled", "ids tokens", "ids tokens", "ids tokens", "text")]
    [InlineData("server's default", "ids tokens", "ids tokens", "ids tokens", "text")]
    [InlineData("logprobs", "ids exact", "ids exact", "ids exact", "text")]
    [InlineData("template settings", "ids exact", "ids exact", "ids exact", "text")]
    [InlineData("asked ids", "ids exact", "ids exact", "ids exact", "text")]
    [InlineData("logit bias", "ids exact", "ids exact", "ids exact", "text")]
    [InlineData("penalties", "ids exact", "ids text", "ids text", "text")]
    [InlineData("harmless member", "ids exact", "ids exact", "ids exact", "text")]
    [InlineData("unknown member", "text", "ids text", "text", "text")]
    [InlineData("grammar", "none", "ids none", "none", "none")]
    [InlineData("no grammar", "ids exact", "ids exact", "ids exact", "text")]
    [InlineData("no functions", "ids exact", "ids exact", "ids exact", "text")]
    [InlineData("no tools", "ids exact", "ids exact", "ids exact", "text")]
    [InlineData("no limit", "ids exact", "ids exact", "text", "text")]
    [InlineData("no token", "text", "text", "text", "text")]
    [InlineData("text format", "ids exact", "ids exact", "ids exact", "text")]
    [InlineData("schema", "none", "none", "none", "none")]
    [InlineData("tools", "ids exact", "ids exact", "none", "none")]
    [InlineData("a tool required", "none", "none", "none", "none")]
    [InlineData("tools and a schema", "none", "none", "none", "none")]
    [InlineData("tools, sampled", "ids none", "ids tokens", "none", "none")]
    [InlineData("tools and an unknown member", "none", "none", "none", "none")]
    [InlineData("no tool to be called", "ids exact", "ids exact", "ids exact", "text")]
    [InlineData("begun by the client", "none", "ids exact", "none", "text")]
    [InlineData("picture", "text", "text", "text", "text")]
    public void Of_ChatWithFeature_IsWhatTheTableSays(string feature, string llama, string vllm, string sglang, string other)
    {
        var request = new GenerateRequest
        {
            Chat = new ChatPrompt { Messages = ByteString.CopyFromUtf8("""[{"role":"user","content":"a"}]""") },
            Sampling = new Sampling { Temperature = 0 },
        };
        Features[feature](request);

        Assert.Equal(
            (llama, vllm, sglang, other),
            (Of("llama.cpp"), Of("vllm"), Of("sglang"), Of("ollama")));

        string Of(string kind)
        {
            var proofs = kind == "ollama" ? ByText : kind == "sglang" ? All with { Tools = ContinuationProof.Not("") } : All;
            var (way, tier) = new ResumeTiers(Profile(kind), proofs, UsesChatCall: false, IsBitExact: true).Of(request);
            return $"{(way == AnswerWay.Text ? "" : "ids ")}{tier.ToString().ToLowerInvariant()}";
        }
    }

    /// <summary>What is made again first can still be continued if that takes too long.</summary>
    [Theory]
    [InlineData("tools, sampled", true, "Ids Tokens")]
    [InlineData("tools, sampled", false, "Text None")]
    [InlineData("schema", false, "Text Text")]
    [InlineData("tools and a schema", false, "Text None")]
    public void Of_ResumedAlthoughItIsToBeMadeAgain_IsContinuedWhereThatIsProven(string feature, bool hasIds, string expected)
    {
        var request = new GenerateRequest
        {
            Chat = new ChatPrompt { Messages = ByteString.CopyFromUtf8("""[{"role":"user","content":"a"}]""") },
            Sampling = new Sampling { Temperature = 0 },
            Resume = new Resume { NextIndex = 1, Text = ByteString.CopyFromUtf8("b") },
        };
        Features[feature](request);
        if (hasIds)
            request.Resume.TokenIds.Add(1);

        var (way, tier) = new ResumeTiers(Profile("llama.cpp"), All, UsesChatCall: false, IsBitExact: true).Of(request);

        Assert.Equal(expected, $"{way} {tier}");
    }

    /// <summary>What llama.cpp tells in a whole answer only is asked for whole, if the client wants the whole.</summary>
    [Theory]
    [InlineData("logprobs", true, "Ids Exact")]
    [InlineData("logprobs, schema", true, "Whole None")]
    [InlineData("logprobs, schema", false, "Text None")]
    [InlineData("logprobs, tools", true, "Whole None")]
    [InlineData("logprobs, tools", false, "ChatWithIds Exact")]
    [InlineData("tools", true, "ChatWithIds Exact")]
    [InlineData("begun by the client", true, "Whole None")]
    [InlineData("begun by the client", false, "Text None")]
    [InlineData("verbose", true, "Whole None")]
    [InlineData("undivided", true, "Ids Exact")]
    [InlineData("undivided, tools", true, "Text None")]
    public void Of_LlamaCppChat_IsWholeWhereTheServerTellsMore(string features, bool isWhole, string expected)
    {
        var request = Chat();
        request.Whole = isWhole;
        foreach (var feature in features.Split(", "))
        {
            Features[feature](request);
        }

        var (way, tier) = new ResumeTiers(Profile("llama.cpp"), All, UsesChatCall: false, IsBitExact: true).Of(request);

        Assert.Equal(expected, $"{way} {tier}");
    }

    /// <summary>An answer that is the same when it is made again: its server is declared bit-exact and was not seen to differ, and nothing is drawn anew.</summary>
    [Theory]
    [InlineData("llama.cpp", "schema", true, true, true)]
    [InlineData("llama.cpp", "sampled", true, true, true)]
    [InlineData("llama.cpp", "server's default", true, true, false)]
    [InlineData("llama.cpp", "schema", false, true, false)]
    [InlineData("llama.cpp", "schema", true, false, false)]
    [InlineData("vllm", "sampled", true, true, true)]
    [InlineData("sglang", "schema", true, true, true)]
    [InlineData("sglang", "sampled", true, true, false)]
    public void RepeatsExactly_IsWhatTheServerIsKnownToDo(string kind, string feature, bool isBitExact, bool isSeenExact, bool expected)
    {
        var request = Chat();
        Features[feature](request);
        var proofs = isSeenExact ? All : ModelProofs.Of(ContinuationProof.ProvenInMost);

        Assert.Equal(expected, new ResumeTiers(Profile(kind), proofs, UsesChatCall: false, isBitExact).RepeatsExactly(request));
    }

    [Theory]
    [InlineData("", true, 20L)]
    [InlineData("top_logprobs", true, 0L)]
    [InlineData("", false, 1L)]
    [InlineData("logprobs", false, 0L)]
    public void CountOf_NoAlternativesAsked_IsWhatTheServerTakesItFor(string written, bool isChat, long expected)
    {
        var request = isChat ? Chat() : new GenerateRequest { Text = "a" };
        Assert.Null(LlamaCppProbabilities.CountOf(request));
        request.Logprobs = 3;
        Assert.Equal(3, LlamaCppProbabilities.CountOf(request));

        request.Logprobs = 0;
        if (written.Length > 0)
            request.Extra.Add(new RawMember { Name = written, Json = ByteString.CopyFromUtf8("0") });

        Assert.Equal(expected, LlamaCppProbabilities.CountOf(request));
    }

    private static GenerateRequest Chat() => new()
    {
        Chat = new ChatPrompt { Messages = ByteString.CopyFromUtf8("""[{"role":"user","content":"a"}]""") },
        Sampling = new Sampling { Temperature = 0 },
    };

    [Fact]
    public void Of_NotDeclaredBitExact_GreedyIsTokens()
    {
        var request = new GenerateRequest { Text = "a", Sampling = new Sampling { Temperature = 0 } };

        Assert.Equal((AnswerWay.Ids, ResumeTier.Tokens), new ResumeTiers(Profile("llama.cpp"), All, UsesChatCall: false, IsBitExact: false).Of(request));
    }

    /// <summary>A server that is declared bit-exact, and was seen to continue one of three answers otherwise.</summary>
    [Fact]
    public void Of_OneContinuationDiffered_IsNotExact()
    {
        var tiers = new ResumeTiers(Profile("llama.cpp"), ModelProofs.Of(ContinuationProof.ProvenInMost), UsesChatCall: false, IsBitExact: true);

        var tier = tiers.Of(new GenerateRequest { Text = "a", Sampling = new Sampling { Temperature = 0 } }).Tier;

        Assert.Equal((ResumeTier.Tokens, ResumeTier.Tokens), (tier, tiers.Best));
    }

    /// <summary>What a server was not seen to continue is made again from its beginning.</summary>
    [Theory]
    [InlineData(true, true, true, true, "ids Tokens", "")]
    [InlineData(true, false, false, true, "ids Tokens", "")]
    [InlineData(false, true, false, true, "Text", "lost completions are made again: c")]
    [InlineData(false, false, true, true, "None", "lost chats are made again: b")]
    [InlineData(false, false, true, false, "Text", "lost chats are made again: b")]
    [InlineData(false, false, false, false, "None", "lost chats are made again: b; lost completions too: c")]
    public void Of_NotProven_IsNone(bool ids, bool chat, bool completion, bool isChat, string expected, string reason)
    {
        var proofs = new ModelProofs(Proof(ids, "a"), Proof(ids, "a"), Proof(chat, "b"), Proof(completion, "c"));
        var tiers = new ResumeTiers(Profile("llama.cpp"), proofs, UsesChatCall: false, IsBitExact: false);
        var request = isChat
            ? new GenerateRequest { Chat = new ChatPrompt { Messages = ByteString.CopyFromUtf8("""[{"role":"user","content":"a"}]""") } }
            : new GenerateRequest { Text = "a" };

        var (way, tier) = tiers.Of(request);

        Assert.Equal((expected, reason), ($"{(way == AnswerWay.Text ? "" : "ids ")}{tier}", tiers.Reason));

        static ContinuationProof Proof(bool isProven, string why) => isProven ? ContinuationProof.Proven : ContinuationProof.Not(why);
    }

    private static ServerProfile Profile(string name) => ServerProfiles.All.Single(profile => profile.Name == name);

    [Theory]
    [InlineData("F0 9F 98", 1, "2")]
    [InlineData("F0 9F 98", 2, "0,4 1,3")]
    [InlineData("F0 9F 98", 3, "0,5,3")]
    [InlineData("20 F0 9F 98", 2, "6,3")]
    [InlineData("61 F0", 2, "")]
    public void Cut_BytesInsideACharacter_FindsEveryWay(string hex, int tokens, string ways)
    {
        byte[][] vocabulary = [[0xF0], [0xF0, 0x9F], [0xF0, 0x9F, 0x98], [0x98], [0x9F, 0x98], [0x9F], [0x20, 0xF0, 0x9F], [0x61]];

        var found = new TokenBytes(vocabulary).Cut(Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal)), tokens);

        Assert.Equal(ways, string.Join(' ', found.Select(way => string.Join(',', way)).Order(StringComparer.Ordinal)));
    }
}
