using System.Text;
using CsCheck;
using Google.Protobuf;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.Embedded;

public class RequestTests
{
    private static readonly IInferenceEngine Storyteller = Loaded.Engine();
    private static readonly IInferenceEngine Babbler = Loaded.Engine(RandomModel.Build());

    [Theory]
    [InlineData("nope", "messages: not valid JSON")]
    [InlineData("[{]", "messages: not valid JSON (line 1, byte 3)")]
    [InlineData("{}", "messages: an object is not an array; allowed: an array of messages")]
    [InlineData("[]", "messages: [] is empty; allowed: an array of at least one message")]
    [InlineData("[7]", "messages[0]: 7 is not an object; allowed: an object with role and content")]
    [InlineData("""[{"role":"user","content":"a"},{"content":"b"}]""", "messages[1].role: missing; required: system, developer, user")]
    [InlineData("""[{"role":"robot","content":"a"}]""", "messages[0].role is \"robot\"; allowed: system, developer, user, assistant")]
    [InlineData("""[{"role":"user","content":null}]""", "messages[0].content is null; allowed: a text")]
    [InlineData("""[{"role":"assistant","content":null}]""", "messages[0].content is null; allowed: a text")]
    [InlineData("""[{"role":"assistant","content":null,"refusal":null}]""", "messages[0].content is null; allowed: a text")]
    [InlineData("""[{"role":"assistant","content":null,"refusal":5}]""", "messages[0].refusal: 5 is not a string")]
    [InlineData("""[{"role":"user","content":"\ud800"}]""", "messages[0].content: holds half of a surrogate pair; allowed: whole Unicode characters")]
    [InlineData("""[{"role":"user","content":["a"]}]""", "messages[0].content[0]: \"a\" is not an object; allowed: objects with a type")]
    [InlineData("""[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url"}]}]""", "messages[0].content is a part of type \"image_url\"; allowed: parts of type \"text\"")]
    [InlineData("""[{"role":"user","content":[{"type":"text"}]}]""", "messages[0].content[0].text: missing; required: a string")]
    [InlineData("""[{"role":"user","r\u006fle":5,"content":"a"}]""", "messages[0].role: Number is not a string")]
    [InlineData("""[{"role":"assistant","c\u006fntent":[5]}]""", "messages[0].content[0].text: missing; required: a string")]
    public Task GenerateAsync_WrongMessages_NamesTheMember(string json, string expected) =>
        AssertRefused(Storyteller, Ask.Messages(json), Fault.InvalidRequest, expected);

    [Fact]
    public Task GenerateAsync_AnyMessagesBytes_AnswersOrRefuses() =>
        Gen.OneOf(Gen.Byte.Array[0, 30].Select(ByteString.CopyFrom), Gen.String[Gen.Char["[]{}\":,a\\1 "], 0, 30].Select(ByteString.CopyFromUtf8)).SampleAsync(async json =>
        {
            var request = new GenerateRequest { Chat = new ChatPrompt { Messages = json }, MaxTokens = 0 };
            if (await Record.ExceptionAsync(() => Transcript.Of(Storyteller, request)) is { } exception)
            {
                Assert.Equal(Fault.InvalidRequest, Assert.IsType<FaultException>(exception).Fault);
            }
        }, iter: 2_000);

    [Fact]
    public async Task GenerateAsync_WrongField_NamesFieldValueAndWhatIsAllowed()
    {
        await Refused(request => request.ClearPrompt(), "prompt is missing; allowed: a text, token ids or a chat");
        await Refused(request => request.N = 2, "n is 2; allowed: 1");
        await Refused(request => request.Stop.Add(""), "stop[0] is 0 bytes long; allowed: 1 to 1024");
        await Refused(request => request.Stop.Add(Enumerable.Repeat("a", 17)), "stop is 17 texts; allowed: at most 16");
        await Refused(request => request.Logprobs = 21, "logprobs is 21; allowed: 0 to 20");
        await Refused(request => request.Sampling.Temperature = 2.5f, "temperature is 2.5; allowed: 0 to 2");
        await Refused(request => request.Sampling.Temperature = float.NaN, "temperature is NaN; allowed: 0 to 2");
        await Refused(request => request.Sampling.TopP = -1, "top_p is -1; allowed: 0 to 1");
        await Refused(request => request.Sampling.MinP = -1, "min_p is -1; allowed: 0 to 1");
        await Refused(request => request.Sampling.PresencePenalty = 3, "presence_penalty is 3; allowed: -2 to 2");
        await Refused(request => request.Sampling.RepetitionPenalty = 0, "repetition_penalty is 0; allowed: above 0");
        await Refused(request => request.Sampling.LogitBias[1024] = 1, "logit_bias is for token 1024; allowed: tokens 0 to 1023");
        await Refused(request => request.Sampling.LogitBias[5] = 101, "logit_bias[5] is 101; allowed: -100 to 100");
        await Refused(request => request.TokenIds = new TokenIds { Ids = { 1, 1024 } }, "prompt.token_ids[1] is 1024; allowed: 0 to 1023");
        await Refused(request => request.TokenIds = new TokenIds(), "prompt.token_ids is empty; allowed: at least one id");
        await Refused(request => request.Extra.Add(Member("ignore_eos", "5")), "ignore_eos is 5; allowed: true or false");
        await Refused(request => request.Extra.Add(Member("min_tokens", "-1")), "min_tokens is -1; allowed: 0 to");
        await Refused(
            request =>
            {
                request.MaxTokens = 3;
                request.Extra.Add(Member("min_tokens", "4"));
            },
            "min_tokens is 4; allowed: 0 to 3");
        await Refused(request => (request.Chat, request.Echo) = (Ask.Chat("a").Chat, true), "echo is true; allowed: false for a chat");
        await Refused(request => request.Model = "gpt", "the model 'gpt' is not served here; served: tiny-storyteller", Fault.ModelNotFound);
        await Refused(request => request.Chat = WithParts("tools", """[{"type":"function"}]"""), "tools asks for", Fault.Unsupported);
        await Refused(request => request.Chat = WithParts("tool_choice", "\"required\""), "tool_choice asks for", Fault.Unsupported);
        await Refused(request => request.Chat = WithParts("response_format", """{"type":"json_object"}"""), "response_format asks for", Fault.Unsupported);

        static async Task Refused(Action<GenerateRequest> change, string expected, Fault error = Fault.InvalidRequest)
        {
            var request = new GenerateRequest { Text = "a", Sampling = new Sampling() };
            change(request);
            await AssertRefused(Storyteller, request, error, expected);
        }
    }

    /// <summary>Whatever would change the answer is refused by name, and never ignored.</summary>
    [Theory]
    [InlineData("functions", """[{"name":"f"}]""")]
    [InlineData("function_call", """{"name":"f"}""")]
    [InlineData("modalities", """["text","audio"]""")]
    [InlineData("audio", """{"voice":"a"}""")]
    [InlineData("prediction", """{"type":"content","content":"a"}""")]
    [InlineData("prediction", "5")]
    [InlineData("guided_json", "5")]
    [InlineData("guided_regex", "\"a b\"")]
    [InlineData("prompt_logprobs", "0")]
    [InlineData("echo", "true")]
    [InlineData("best_of", "3")]
    [InlineData("suffix", "\"end\"")]
    [InlineData("stop_token_ids", "[ 1 ]")]
    [InlineData("length_penalty", "1.5")]
    [InlineData("response_format", """{"type":"json_object"}""")]
    [InlineData("logit_bias", """[["word",1]]""")]
    [InlineData("stop_regex", "\"a+\"")]
    [InlineData("n_predict", "5")]
    [InlineData("max_new_tokens", "5")]
    [InlineData("min_new_tokens", "5")]
    [InlineData("prompt_embeds", "\"AAAA\"")]
    [InlineData("input_embeds", "[[0.5]]")]
    [InlineData("lora_path", "\"a\"")]
    [InlineData("custom_logit_processor", "\"a\"")]
    [InlineData("no_repeat_ngram_size", "2")]
    [InlineData("logprob_token_ids", "[1]")]
    [InlineData("messages", """[{"role":"user","content":"a"}]""")]
    [InlineData("prompt", "\"a\"")]
    [InlineData("tools", """[{"type":"function"}]""")]
    [InlineData("tool_choice", "\"required\"")]
    [InlineData("max_tokens", "5")]
    [InlineData("stop", "[\"a\"]")]
    [InlineData("top_logprobs", "5")]
    [InlineData("temperature", "0.5")]
    public async Task GenerateAsync_MemberThatItCannotObey_IsRefusedByName(string name, string json)
    {
        var request = Ask.Chat("a");
        request.Extra.Add(Member(name, json));

        var refusal = await Assert.ThrowsAsync<FaultException>(() => Transcript.Of(Storyteller, request));

        Assert.Equal((Fault.Unsupported, name), (refusal.Fault, refusal.Param));
        Assert.StartsWith($"{name} is ", refusal.Message, StringComparison.Ordinal);
    }

    /// <summary>Spelled-out defaults ask for nothing, and neither do members that do not change the answer.</summary>
    [Theory]
    [InlineData("functions", "[ ]")]
    [InlineData("function_call", "\"auto\"")]
    [InlineData("modalities", "[ \"text\" ]")]
    [InlineData("best_of", "1.0")]
    [InlineData("suffix", "\"\"")]
    [InlineData("guided_json", "null")]
    [InlineData("length_penalty", "1.0")]
    [InlineData("user", "\"me\"")]
    [InlineData("parallel_tool_calls", "true")]
    [InlineData("prompt_cache_key", "\"k\"")]
    [InlineData("n_predict", "-1")]
    [InlineData("max_tokens", "-1")]
    [InlineData("logprobs", "0")]
    [InlineData("tool_choice", "\"none\"")]
    [InlineData("response_format", """{ "type": "text" }""")]
    [InlineData("no_repeat_ngram_size", "0")]
    [InlineData("min_new_tokens", "0")]
    [InlineData("add_special_tokens", "false")]
    [InlineData("cache_prompt", "true")]
    [InlineData("member_of_no_server", "5")]
    public async Task GenerateAsync_MemberThatAsksForNothing_IsAccepted(string name, string json)
    {
        var request = Ask.Greedy("a", 2);
        request.Extra.Add(Member(name, json));

        Assert.NotNull(await Transcript.Of(Storyteller, request));
    }

    /// <summary>A client of Messages knows neither member: the words must be right behind the name of its own.</summary>
    [Theory]
    [InlineData("add_generation_prompt", "false")]
    [InlineData("continue_final_message", "true")]
    public async Task GenerateAsync_AnswerThatTheClientBegan_IsRefusedInWordsForAnyApi(string name, string json)
    {
        var request = Ask.Chat("a");
        request.Extra.Add(Member(name, json));

        var refusal = await Assert.ThrowsAsync<FaultException>(() => Transcript.Of(Storyteller, request));

        Assert.Equal((Fault.Unsupported, name), (refusal.Fault, refusal.Param));
        Assert.Equal($"{name} asks this engine to continue the last message, which it cannot do; allowed: a last message that is not the assistant's", refusal.Message);
    }

    [Theory]
    [InlineData("true", true)]
    [InlineData("null", true)]
    [InlineData("false", false)]
    public async Task GenerateAsync_AddSpecialTokens_PutsTheBeginTokenInFrontOfATextOrNot(string json, bool isThere)
    {
        var request = new GenerateRequest { Text = "Once", MaxTokens = 0, Extra = { Member("add_special_tokens", json) } };

        var answer = await Transcript.Of(Storyteller, request);

        Assert.Equal(isThere, answer.Start.PromptTokenIds[0] == 0);
    }

    [Fact]
    public async Task GenerateAsync_AddSpecialTokensToAChat_IsRefused()
    {
        var request = Ask.Chat("a");
        request.Extra.Add(Member("add_special_tokens", "true"));

        await AssertRefused(Storyteller, request, Fault.InvalidRequest, "add_special_tokens is true; allowed: false for a chat");
    }

    [Fact]
    public async Task GenerateAsync_ToolsThatMayNotBeCalled_AreIgnored()
    {
        var request = Ask.Greedy("a", 2);
        request.Chat.Tools = ByteString.CopyFromUtf8("""[{"type":"function","function":{"name":"f"}}]""");
        request.Chat.ToolChoice = ByteString.CopyFromUtf8("\"none\"");

        Assert.Equal((await Transcript.Of(Storyteller, Ask.Greedy("a", 2))).Text, (await Transcript.Of(Storyteller, request)).Text);
    }

    [Fact]
    public async Task GenerateAsync_IgnoreEosAndMinTokens_KeepTheModelFromEnding()
    {
        var plain = await Transcript.Of(Storyteller, Ask.Greedy("Tell me a story.", 400));
        Assert.Equal(FinishReason.Stop, plain.Last.Finish.Reason);
        var length = plain.Tokens.Count;

        var longer = await With("min_tokens", $"{length + 5}");
        Assert.InRange(longer.Tokens.Count, length + 5, 400);
        Assert.Equal(plain.Ids, longer.Ids.Take(length));
        var endless = await With("ignore_eos", "true");
        Assert.Equal((400, FinishReason.Length), (endless.Tokens.Count, endless.Last.Finish.Reason));

        // A resumed answer does not end earlier.
        var request = Ask.Greedy("Tell me a story.", 400);
        request.Extra.Add(Member("min_tokens", $"{length + 5}"));
        request.Resume = longer.JournalAfter(length);
        Assert.Equal(longer.Ids.Skip(length), (await Transcript.Of(Storyteller, request)).Ids);

        Task<Transcript> With(string name, string json)
        {
            var changed = Ask.Greedy("Tell me a story.", 400);
            changed.Extra.Add(Member(name, json));
            return Transcript.Of(Storyteller, changed);
        }
    }

    [Fact]
    public async Task GenerateAsync_MoreThanTheContextHolds_NamesTheNumbers()
    {
        var ids = new TokenIds { Ids = { Enumerable.Repeat(97u, RandomModel.ContextTokens) } };
        var half = new TokenIds { Ids = { ids.Ids.Take(RandomModel.ContextTokens / 2) } };

        await Refused(new GenerateRequest { TokenIds = ids }, "the model's context holds 160 tokens; asked for: a prompt of 160 and at least 1 for the answer");
        await Refused(new GenerateRequest { TokenIds = half, MaxTokens = 81 }, "asked for: a prompt of 80 and max_tokens 81");
        await Refused(new GenerateRequest { Text = new string('a', 200) }, "asked for: a prompt of 201");
        await Refused(new GenerateRequest { Text = new string('a', 30_000_000) }, "asked for: a prompt of more than");

        var full = await Transcript.Of(Babbler, new GenerateRequest { TokenIds = half, MaxTokens = 80, Sampling = NoEnd() });
        Assert.Equal((80u, FinishReason.Length), (full.Last.Finish.Usage.CompletionTokens, full.Last.Finish.Reason));
        var rest = await Transcript.Of(Babbler, new GenerateRequest { TokenIds = half, Sampling = NoEnd() });
        Assert.Equal(80u, rest.Last.Finish.Usage.CompletionTokens);

        static Sampling NoEnd() => new() { LogitBias = { [RandomModel.End] = -100 } };
        static Task Refused(GenerateRequest request, string expected) => AssertRefused(Babbler, request, Fault.ContextLengthExceeded, expected);
    }

    [Theory]
    [InlineData("""[{"role":"system","content":"S"},{"role":"user","content":"Hi"},{"role":"assistant","content":"Yo"},{"role":"user","content":"<|end|>"}]""", "0 2 S 3 Hi 4 Yo 1 3 <|end|> 4")]
    [InlineData("""[{"role":"developer","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"user","content":""}]""", "0 2 ab 3 4")]
    [InlineData("""[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[{"id":"1"}]},{"role":"tool","tool_call_id":"1","content":"r"}]""", "0 3 q 4 [{\"id\":\"1\"}] 1 3 r 4")]
    [InlineData("""[{"role":"user","content":"q"},{"role":"assistant","content":null,"refusal":"No"},{"role":"user","content":"r"}]""", "0 3 q 4 No 1 3 r 4")]
    [InlineData("""[{"role":"assistant","content":[{"type":"refusal","refusal":"No"}]},{"role":"function","name":"f","content":"r"}]""", "0 4 No 1 3 r 4")]
    public async Task GenerateAsync_Chat_PutsInRoleTokensByIdOnly(string json, string expected)
    {
        var request = Ask.Messages(json);
        request.MaxTokens = 0;

        var answer = await Transcript.Of(Storyteller, request);

        Assert.Equal(Tokens(expected), answer.Start.PromptTokenIds);
        Assert.Equal((FinishReason.Length, 0u, ""), (answer.Last.Finish.Reason, answer.Last.Finish.Usage.CompletionTokens, answer.Text));

        static IEnumerable<uint> Tokens(string parts) => parts.Split(' ').SelectMany(part =>
            uint.TryParse(part, out var control) ? [control] : Loaded.DefaultVocabulary().Encode(part).Select(id => (uint)id));
    }

    [Fact]
    public async Task GenerateAsync_ChatMlModel_WritesItsFormat()
    {
        const string ChatMl = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"
            + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
        await using var engine = Loaded.Engine(RandomModel.Build().Set("tokenizer.chat_template", ChatMl));
        var request = Ask.Chat("Hi<|im_end|>");
        request.MaxTokens = 0;

        var prompt = (await Transcript.Of(engine, request)).Start.PromptTokenIds;

        Assert.Equal([256, .. Bytes("user\nHi<|im_end|>"), 257, .. Bytes("\n"), 256, .. Bytes("assistant\n")], prompt);
        static IEnumerable<uint> Bytes(string text) => Encoding.UTF8.GetBytes(text).Select(unit => (uint)unit);
    }

    [Fact]
    public async Task DescribeAsync_UnknownTemplate_OffersNoChatAndRefusesIt()
    {
        await using var engine = Loaded.Engine(RandomModel.Build().Set("tokenizer.chat_template", "{{ raise_exception('no') }}"));

        Assert.False((await engine.DescribeAsync(default)).Models[0].Chat);
        await AssertRefused(engine, Ask.Chat("a"), Fault.Unsupported, "has no chat template that the embedded engine knows");
        Assert.NotNull(await Transcript.Of(engine, new GenerateRequest { Text = "a", MaxTokens = 3 }));
    }

    private static RawMember Member(string name, string json) => new() { Name = name, Json = ByteString.CopyFromUtf8(json) };

    private static ChatPrompt WithParts(string member, string json)
    {
        var chat = Ask.Chat("a").Chat;
        var value = ByteString.CopyFromUtf8(json);
        (chat.Tools, chat.ToolChoice, chat.ResponseFormat) = member switch
        {
            "tools" => (value, chat.ToolChoice, chat.ResponseFormat),
            "tool_choice" => (chat.Tools, value, chat.ResponseFormat),
            _ => (chat.Tools, chat.ToolChoice, value),
        };
        return chat;
    }

    private static async Task AssertRefused(IInferenceEngine engine, GenerateRequest request, Fault error, string expected)
    {
        var exception = await Assert.ThrowsAsync<FaultException>(() => Transcript.Of(engine, request));
        Assert.Equal(error, exception.Fault);
        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', exception.Message);
    }
}
