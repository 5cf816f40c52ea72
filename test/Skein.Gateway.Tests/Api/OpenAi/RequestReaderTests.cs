using System.Text;
using Skein.Gateway.Api;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Api.OpenAi.Requests;
using Skein.Protocol.V1;

namespace Skein.Gateway.Tests.Api.OpenAi;

public sealed class RequestReaderTests
{
    private const string Hello = """ "messages": [{"role": "user", "content": "hi"}] """;

    [Fact]
    public void Read_EveryChatMember_FillsItsField()
    {
        var request = Chat("""
            {
              "model": "tiny", "messages": [ {"role":"user","content":"h\u00e9"} ], "n": 2, "max_completion_tokens": 7, "temperature": 0.5,
              "top_p": 0.9, "top_k": 40, "min_p": 0.1, "seed": -2, "presence_penalty": -2, "frequency_penalty": 2,
              "repetition_penalty": 1.5, "logit_bias": {"5": -100, "7": 1.5}, "stop": ["a", "b"], "logprobs": true, "top_logprobs": 3,
              "stream": true, "stream_options": {"include_usage": true}, "tools": [ {"x": 1} ], "tool_choice": "auto",
              "response_format": {"type": "json_object"}
            }
            """);

        var generate = request.Generate;
        Assert.Equal(
            ["temperature=0.5", "top_p=0.9", "min_p=0.1", "presence_penalty=-2", "frequency_penalty=2", "repetition_penalty=1.5", """logit_bias={"5": -100, "7": 1.5}"""],
            generate.Sampling.Raw.Select(member => $"{member.Name}={member.Json.ToStringUtf8()}"));
        generate.Sampling.Raw.Clear();
        Assert.Equal("tiny", generate.Model);
        Assert.Equal(2u, generate.N);
        Assert.Equal(7u, generate.MaxTokens);
        Assert.Equal(
            new Sampling
            {
                Temperature = 0.5f,
                TopP = 0.9f,
                TopK = 40,
                MinP = 0.1f,
                Seed = ulong.MaxValue - 1,
                PresencePenalty = -2,
                FrequencyPenalty = 2,
                RepetitionPenalty = 1.5f,
                LogitBias = { [5] = -100, [7] = 1.5f },
            },
            generate.Sampling);
        Assert.Equal(["a", "b"], generate.Stop);
        Assert.Equal(3u, generate.Logprobs);
        Assert.True(request.Stream);
        Assert.True(request.IncludeUsage);
        Assert.Equal("""[ {"role":"user","content":"h\u00e9"} ]""", generate.Chat.Messages.ToStringUtf8());
        Assert.Equal("""[ {"x": 1} ]""", generate.Chat.Tools.ToStringUtf8());
        Assert.Equal("\"auto\"", generate.Chat.ToolChoice.ToStringUtf8());
        Assert.Equal("""{"type": "json_object"}""", generate.Chat.ResponseFormat.ToStringUtf8());
        Assert.Empty(generate.Extra);
    }

    /// <summary>llama.cpp tells no log probabilities then, others those of the chosen tokens. Absent, it means something else.</summary>
    [Fact]
    public void Read_ZeroAlternatives_ReachesTheEngineAsWritten()
    {
        Assert.Equal(["top_logprobs"], ExtraOf(Chat($$"""{{{Hello}}, "logprobs": true, "top_logprobs": 0}""")));
        Assert.Equal(["logprobs"], ExtraOf(Completion("""{"prompt": "a", "logprobs": 0}""")));
        Assert.Empty(ExtraOf(Chat($$"""{{{Hello}}, "logprobs": true}""")));
        Assert.Empty(ExtraOf(Completion("""{"prompt": "a", "logprobs": 1}""")));

        static IEnumerable<string> ExtraOf(OpenAiRequest request) => request.Generate.Extra.Select(member =>
        {
            Assert.Equal("0", member.Json.ToStringUtf8());
            return member.Name;
        });
    }

    [Fact]
    public void Read_UnknownMembers_KeepsThemByteForByte()
    {
        var request = Chat($$"""{ {{Hello}}, "user": "u-1", "metadata" : { "a" : [1, 2.50,"\u0041"] }, "skein_fault":null, "stream_options": {"x": 1} }""");

        Assert.Equal(
            ["""user="u-1" """.Trim(), """metadata={ "a" : [1, 2.50,"\u0041"] }""", """stream_options={"x": 1}"""],
            request.Generate.Extra.Select(member => $"{member.Name}={member.Json.ToStringUtf8()}"));
    }

    [Fact]
    public void Read_OnlyWhatIsRequired_LeavesTheRestAbsent()
    {
        var request = Chat($$"""{ {{Hello}}, "temperature": null, "stop": null, "n": null, "user": null, "store": null, "metadata": null }""");

        Assert.Empty(request.Generate.Extra);
        Assert.Equal(1u, request.Generate.N);
        Assert.Null(request.Generate.Sampling);
        Assert.False(request.Generate.HasMaxTokens);
        Assert.False(request.Generate.HasLogprobs);
        Assert.False(request.Stream);
    }

    [Fact]
    public void Read_ValuesThatServersKnow_ArePassedOnAsSent()
    {
        var request = Chat(
            $$"""
            { {{Hello}}, "max_tokens": -1, "top_k": -1, "seed": -1, "top_p": 0, "temperature": 0.10000000000000000555, "functions": null, "grammar": null }
            """).Generate;

        Assert.Equal(["max_tokens=-1"], request.Extra.Select(member => $"{member.Name}={member.Json.ToStringUtf8()}"));
        Assert.Equal((false, false, 0u, 0f, 0.1f), (request.HasMaxTokens, request.Sampling.HasSeed, request.Sampling.TopK, request.Sampling.TopP, request.Sampling.Temperature));
        Assert.Equal(
            ["top_p=0", "temperature=0.10000000000000000555"], request.Sampling.Raw.Select(member => $"{member.Name}={member.Json.ToStringUtf8()}"));
    }

    [Theory]
    [InlineData("[[7, -1.5], [8, 2]]", 2, 0)]
    [InlineData("""{"7": -1.50}""", 1, 0)]
    [InlineData("""[["word", 1]]""", 0, 1)]
    [InlineData("[[7, false]]", 0, 1)]
    [InlineData("[[7, 1, 2]]", 0, 1)]
    public void Read_LogitBiasInAnyForm_IsReadOrTheEngines(string json, int read, int extra)
    {
        var request = Completion($$"""{"prompt": "x", "logit_bias": {{json}} }""").Generate;

        Assert.Equal((read, extra), (request.Sampling?.LogitBias.Count ?? 0, request.Extra.Count));
        Assert.Equal(json, (extra > 0 ? request.Extra[0] : Assert.Single(request.Sampling!.Raw)).Json.ToStringUtf8());
    }

    [Theory]
    [InlineData("""{"role": "critic", "content": "a"}""")]
    [InlineData("""{"role": "user", "content": null}""")]
    [InlineData("""{"role": "user"}""")]
    public void Read_MessageThatAnEngineMayKnow_IsPassedOn(string message) =>
        Assert.Equal($"[{message}]", Chat($$"""{"messages": [{{message}}]}""").Generate.Chat.Messages.ToStringUtf8());

    [Theory]
    [InlineData("\"once upon\"", "once upon")]
    [InlineData("[\"once\"]", "once")]
    [InlineData("\"\"", "")]
    public void Read_PromptOfText_IsText(string prompt, string expected) =>
        Assert.Equal(expected, Completion($$"""{"prompt": {{prompt}}, "logprobs": 0, "echo": true}""").Generate.Text);

    [Theory]
    [InlineData("[1, 2, 4294967295]")]
    [InlineData("[[1, 2, 4294967295]]")]
    public void Read_PromptOfIds_IsIds(string prompt) =>
        Assert.Equal([1, 2, uint.MaxValue], Completion($$"""{"prompt": {{prompt}}}""").Generate.TokenIds.Ids);

    [Fact]
    public void Read_SeveralPrompts_KeepsTheirOrder()
    {
        var request = Completion("""{"prompt": ["once", [1, 2], ""], "n": 2}""");

        Assert.Equal(["once", null, ""], request.Prompts!.Select(prompt => prompt.Text));
        Assert.Equal([1, 2], request.Prompts![1].Ids!.Ids);
        Assert.Equal(GenerateRequest.PromptOneofCase.None, request.Generate.PromptCase);
    }

    /// <summary>Servers differ in what they allow: the engine judges.</summary>
    [Theory]
    [InlineData("temperature", "3.5")]
    [InlineData("top_p", "1.01")]
    [InlineData("min_p", "-0.1")]
    [InlineData("repetition_penalty", "0")]
    public void Read_NumberOutsideTheUsualRange_IsPassedOn(string name, string value)
    {
        var request = Chat($$"""{ {{Hello}}, "{{name}}": {{value}} }""").Generate;

        Assert.Equal($"{name}={value}", Assert.Single(request.Sampling.Raw.Select(member => $"{member.Name}={member.Json.ToStringUtf8()}")));
    }

    [Fact]
    public void Read_EmptyMessages_AreTheEnginesToJudge() => Assert.Equal("[]", Chat("""{"messages": []}""").Generate.Chat.Messages.ToStringUtf8());

    /// <summary>Null counts as absent, and members come in any order; what is not text is the engine's to judge.</summary>
    [Theory]
    [InlineData("""{"role": "assistant", "content": null, "refusal": null, "tool_calls": null, "function_call": null, "name": null}""")]
    [InlineData("""{"role": "tool", "tool_call_id": null, "content": [{"text": "a", "type": null}, {"text": "b"}]}""")]
    [InlineData("""{"role": "user", "content": [{"image_url": {"url": "x"}}, {"type": "image_url", "text": 5}, {"type": "new", "text": null}]}""")]
    [InlineData("""{"role": "assistant", "content": [{"refusal": "no", "text": null, "type": "refusal"}], "tool_calls": [{}], "audio": 5}""")]
    public void Read_MessageWithNullsAndOtherParts_IsPassedOn(string message) =>
        Assert.Equal($"[{message}]", Chat($$"""{"messages": [{{message}}]}""").Generate.Chat.Messages.ToStringUtf8());

    /// <summary>Null counts as absent, and what is further inside is the engine's to judge.</summary>
    [Fact]
    public void Read_ToolsChoicesAndFormats_ArePassedOnAsTheyAre()
    {
        const string Tools = """[{"type": null, "function": {"name": null, "description": null, "parameters": {"type": 5, "name": 5}, "strict": 5}}, {"type": "x", "name": 5}]""";
        const string Choice = """{"type": "allowed", "function": null, "tools": [{"type": 5}]}""";
        const string Format = """{"type": "json_schema", "json_schema": {"type": 5, "schema": {"type": 5}}}""";

        var chat = Chat($$"""{"messages": [], "tools": {{Tools}}, "tool_choice": {{Choice}}, "response_format": {{Format}} }""").Generate.Chat;

        Assert.Equal((Tools, Choice, Format), (chat.Tools.ToStringUtf8(), chat.ToolChoice.ToStringUtf8(), chat.ResponseFormat.ToStringUtf8()));
    }

    /// <summary>guidellm sends both names of the bound to this endpoint too.</summary>
    [Theory]
    [InlineData(""" "max_completion_tokens": 7 """)]
    [InlineData(""" "max_tokens": 7, "max_completion_tokens": 7 """)]
    public void Read_MaxCompletionTokensOfACompletion_IsTheBound(string members)
    {
        var generate = Completion($$"""{"prompt": "x", {{members}} }""").Generate;

        Assert.Equal(7u, generate.MaxTokens);
        Assert.Empty(generate.Extra);
    }

    [Fact]
    public void Read_ByteOrderMark_IsSkipped() =>
        Assert.Equal("x", RequestMembers.Completion.Read((byte[])[0xEF, 0xBB, 0xBF, .. """{"prompt":"x"}"""u8]).Generate.Text);

    [Theory]
    [InlineData("""{M, "temperature": "hot"}""", "temperature", "temperature: \"hot\" is not a number; allowed: 0 to 2")]
    [InlineData("""{M, "temperature": 1e999}""", "temperature", "temperature: 1e999 is out of range; allowed: 0 to 2")]
    [InlineData("""{M, "repetition_penalty": 1e39}""", "repetition_penalty", "repetition_penalty: 1e39 is out of range; allowed: above 0, to 3.4e38")]
    [InlineData("""{M, "model": "a\r\nb"}""", "model", "model: \"a\\r\\nb\" holds a control character; allowed: 1 to 256 bytes without control characters")]
    [InlineData("""{M, "presence_penalty": [1]}""", "presence_penalty", "presence_penalty: an array is not a number; allowed: -2 to 2")]
    [InlineData("""{M, "max_tokens": 1.5}""", "max_tokens", "max_tokens: 1.5 is not a whole number; allowed: -1 to 2147483647")]
    [InlineData("""{M, "max_tokens": 99999999999999999999}""", "max_tokens", "max_tokens: 99999999999999999999 is out of range; allowed: -1 to 2147483647")]
    [InlineData("""{M, "max_tokens": 1, "max_completion_tokens": 2}""", "max_tokens", "max_tokens: 1 contradicts max_completion_tokens 2; allowed: one of them, or both equal")]
    [InlineData("""{M, "n": 0}""", "n", "n: 0 is out of range; allowed: 1 to 16")]
    [InlineData("""{M, "n": 17}""", "n", "n: 17 is out of range; allowed: 1 to 16")]
    [InlineData("""{M, "n": {}}""", "n", "n: an object is not a whole number; allowed: 1 to 16")]
    [InlineData("""{M, "top_k": "all"}""", "top_k", "top_k: \"all\" is not a whole number; allowed: -1 to 2147483647")]
    [InlineData("""{M, "seed": 1.5}""", "seed", "seed: 1.5 is not a whole number of 64 bits; allowed: -9223372036854775808 to 18446744073709551615")]
    [InlineData("""{M, "stream": "yes"}""", "stream", "stream: \"yes\" is not a boolean; allowed: true or false")]
    [InlineData("""{M, "stream_options": true}""", "stream_options", "stream_options: true is not an object; allowed: an object")]
    [InlineData("""{M, "stream_options": {"include_usage": 1}}""", "stream_options.include_usage", "stream_options.include_usage: 1 is not a boolean; allowed: true or false")]
    [InlineData("""{M, "model": 7}""", "model", "model: 7 is not a string; allowed: a string of 1 to 256 bytes")]
    [InlineData("""{M, "model": ""}""", "model", "model: \"\" has 0 bytes; allowed: a string of 1 to 256 bytes")]
    [InlineData("""{M, "model": "\ud800"}""", "model", "model: holds half of a surrogate pair; allowed: whole Unicode characters")]
    [InlineData("""{M, "model": "a", "model": "b"}""", "model", "model: appears more than once; allowed: once")]
    [InlineData("""{M, "x": 1, "\u0078": 2}""", "x", "x: appears more than once; allowed: once")]
    [InlineData("""{M, "stop": 1}""", "stop", "stop: 1 is not a string or an array; allowed: a string, or an array of up to 16 strings, each of 1 to 1024 bytes")]
    [InlineData("""{M, "stop": ["a", 1]}""", "stop[1]", "stop[1]: 1 is not a string; allowed: a string of 1 to 1024 bytes")]
    [InlineData("""{M, "stop": ["",""]}""", "stop[0]", "stop[0]: \"\" has 0 bytes; allowed: a string of 1 to 1024 bytes")]
    [InlineData("""{M, "logit_bias": {"x": 1}}""", "logit_bias", "logit_bias: member \"x\" is not a token id; allowed: 0 to 4294967295")]
    [InlineData("""{M, "logit_bias": {"1": 101}}""", "logit_bias.1", "logit_bias.1: 101 is out of range; allowed: -100 to 100")]
    [InlineData("""{M, "logit_bias": {"1": 1, "1": 1}}""", "logit_bias.1", "logit_bias.1: appears more than once; allowed: once")]
    [InlineData("""{M, "logprobs": 1}""", "logprobs", "logprobs: 1 is not a boolean; allowed: true or false")]
    [InlineData("""{M, "top_logprobs": 1}""", "top_logprobs", "top_logprobs: 1 without logprobs; allowed: only with logprobs: true")]
    [InlineData("""{M, "logprobs": true, "top_logprobs": 21}""", "top_logprobs", "top_logprobs: 21 is out of range; allowed: 0 to 20")]
    [InlineData("""{M, "tools": {}}""", "tools", "tools: an object is not an array; allowed: an array")]
    [InlineData("""{M, "tool_choice": 1}""", "tool_choice", "tool_choice: 1 is not a string or an object; allowed: a string or an object")]
    [InlineData("""{M, "response_format": "json"}""", "response_format", "response_format: \"json\" is not an object; allowed: an object")]
    [InlineData("""{}""", "messages", "messages: missing; required: an array of at least one message")]
    [InlineData("""{"messages": null}""", "messages", "messages: missing; required: an array of at least one message")]
    [InlineData("""{"messages": "hi"}""", "messages", "messages: \"hi\" is not an array; allowed: an array of messages")]
    [InlineData("""{"messages": ["hi"]}""", "messages[0]", "messages[0]: \"hi\" is not an object; allowed: an object with role and content")]
    [InlineData("""{"messages": [{"content": "a"}]}""", "messages[0].role", "messages[0].role: missing; required: system, developer, user, assistant, tool, function")]
    [InlineData("""{"messages": [{"role": 1, "content": "a"}]}""", "messages[0].role", "messages[0].role: 1 is not a string; allowed: system, developer, user, assistant, tool, function")]
    [InlineData("""{"messages": [{"role": "user", "role": "user", "content": "a"}]}""", "messages[0].role", "messages[0].role: appears more than once; allowed: once")]
    [InlineData("""{"messages": [{"role": "user", "content": 5}]}""", "messages[0].content", "messages[0].content: 5 is not text; allowed: a string, an array of parts, or null")]
    [InlineData("""{"messages": [{"role": "user", "content": [5]}]}""", "messages[0].content[0]", "messages[0].content[0]: 5 is not an object; allowed: objects with a type")]
    [InlineData("""{"messages": [{"role": "user", "content": [{"type": 5, "text": "a"}]}]}""", "messages[0].content[0].type", "messages[0].content[0].type: 5 is not a string; allowed: a string")]
    [InlineData("""{"messages": [{"role": "user", "content": [{"text": 5, "type": "text"}]}]}""", "messages[0].content[0].text", "messages[0].content[0].text: 5 is not a string; allowed: a string")]
    [InlineData("""{"messages": [{"role": "user", "content": [{"type": "text", "text": null}]}]}""", "messages[0].content[0].text", "messages[0].content[0].text: missing; required: a string")]
    [InlineData("""{"messages": [{"role": "assistant", "content": [{"type": "refusal"}]}]}""", "messages[0].content[0].refusal", "messages[0].content[0].refusal: missing; required: a string")]
    [InlineData("""{"messages": [{"role": "user", "content": [{"type": null}]}]}""", "messages[0].content[0].text", "messages[0].content[0].text: missing; required: a string")]
    [InlineData("""{"messages": [{"role": "assistant", "tool_calls": {}}]}""", "messages[0].tool_calls", "messages[0].tool_calls: an object is not an array; allowed: an array of calls, or null")]
    [InlineData("""{"messages": [{"role": "assistant", "tool_calls": [5]}]}""", "messages[0].tool_calls[0]", "messages[0].tool_calls[0]: 5 is not an object; allowed: calls with a function")]
    [InlineData("""{"messages": [{"role": "assistant", "function_call": "f"}]}""", "messages[0].function_call", "messages[0].function_call: \"f\" is not an object; allowed: an object, or null")]
    [InlineData("""{"messages": [{"role": "assistant", "refusal": []}]}""", "messages[0].refusal", "messages[0].refusal: an array is not a string; allowed: a string, or null")]
    [InlineData("""{"messages": [{"role": "user", "name": 5, "content": "a"}]}""", "messages[0].name", "messages[0].name: 5 is not a string; allowed: a string, or null")]
    [InlineData("""{"messages": [{"role": "tool", "tool_call_id": 5, "content": "a"}]}""", "messages[0].tool_call_id", "messages[0].tool_call_id: 5 is not a string; allowed: a string, or null")]
    [InlineData("""{"messages": [{"role": "user", "content": "\ud800"}]}""", "messages", "messages: holds half of a surrogate pair; allowed: whole Unicode characters")]
    [InlineData("""{"messages": [{"role": "user", "content": "x", "\ud800": 1}]}""", "messages", "messages: holds half of a surrogate pair; allowed: whole Unicode characters")]
    [InlineData("""{M, "response_format": {"type": "\udbff\u0061"}}""", "response_format", "response_format: holds half of a surrogate pair; allowed: whole Unicode characters")]
    [InlineData("""{M, "stream_options": {"\uDC00": 1}}""", "stream_options", "stream_options: holds half of a surrogate pair; allowed: whole Unicode characters")]
    [InlineData("""{M, "tools": [{}, 5]}""", "tools[1]", "tools[1]: 5 is not an object; allowed: objects with a type")]
    [InlineData("""{M, "tools": [{"type": {}}]}""", "tools[0].type", "tools[0].type: an object is not a string; allowed: a string")]
    [InlineData("""{M, "tools": [{"function": "f"}]}""", "tools[0].function", "tools[0].function: \"f\" is not an object; allowed: an object")]
    [InlineData("""{M, "tools": [{}, {"function": {"name": 5}}]}""", "tools[1].function.name", "tools[1].function.name: 5 is not a string; allowed: a string")]
    [InlineData("""{M, "tool_choice": {"type": 5}}""", "tool_choice.type", "tool_choice.type: 5 is not a string; allowed: a string")]
    [InlineData("""{M, "tool_choice": {"function": {"name": []}}}""", "tool_choice.function.name", "tool_choice.function.name: an array is not a string; allowed: a string")]
    [InlineData("""{M, "response_format": {"json_schema": 5}}""", "response_format.json_schema", "response_format.json_schema: 5 is not an object; allowed: an object")]
    [InlineData("""{M, "response_format": {"type": 5}}""", "response_format.type", "response_format.type: 5 is not a string; allowed: a string")]
    [InlineData("""{M, "parallel_tool_calls": "x"}""", "parallel_tool_calls", "parallel_tool_calls: \"x\" is not a boolean; allowed: true or false")]
    [InlineData("""{M, "store": "x"}""", "store", "store: \"x\" is not a boolean; allowed: true or false")]
    [InlineData("""{M, "user": 5}""", "user", "user: 5 is not a string; allowed: a string")]
    [InlineData("""{M, "metadata": 5}""", "metadata", "metadata: 5 is not an object; allowed: an object")]
    [InlineData("""{M, "service_tier": 5}""", "service_tier", "service_tier: 5 is not a string; allowed: a string")]
    [InlineData("""{M, "reasoning_effort": 5}""", "reasoning_effort", "reasoning_effort: 5 is not a string; allowed: a string")]
    [InlineData("""{M, "verbosity": 5}""", "verbosity", "verbosity: 5 is not a string; allowed: a string")]
    [InlineData("""{M, "modalities": "text"}""", "modalities", "modalities: \"text\" is not an array; allowed: an array")]
    [InlineData("""{M, "functions": {}}""", "functions", "functions: an object is not an array; allowed: an array")]
    [InlineData("""{M, "function_call": 5}""", "function_call", "function_call: 5 is not a string or an object; allowed: a string or an object")]
    [InlineData("""{M, "prediction": 5}""", "prediction", "prediction: 5 is not an object; allowed: an object")]
    public void Read_WrongChatMember_NamesFieldValueAndWhatIsAllowed(string body, string field, string message)
    {
        var refused = Assert.Throws<RequestRefusedException>(() => Chat(body.Replace("{M,", $"{{{Hello},", StringComparison.Ordinal)));

        Assert.Equal(message, refused.Message);
        Assert.Equal(field, refused.Field);
        Assert.Equal(400, refused.Status);
    }

    [Theory]
    [InlineData("""{}""", "prompt: missing; required: a string, an array of token ids, or an array of up to 128 of these")]
    [InlineData("""{"prompt": 1}""", "prompt: 1 is not a prompt; allowed: a string, an array of token ids, or an array of up to 128 of these")]
    [InlineData("""{"prompt": []}""", "prompt: [] is empty; allowed: a string, an array of token ids, or an array of up to 128 of these")]
    [InlineData("""{"prompt": [[]]}""", "prompt[0]: [] is empty; allowed: a string, an array of token ids, or an array of up to 128 of these")]
    [InlineData("""{"prompt": ["a", [1, true]]}""", "prompt[1][1]: true is not a token id; allowed: 0 to 4294967295")]
    [InlineData("""{"prompt": ["a", "b"], "n": 16, "logprobs": 21}""", "logprobs: 21 is out of range; allowed: 0 to 20")]
    [InlineData("""{"prompt": ["", "", "", "", "", "", "", "", ""], "n": 15}""", "n: 15 for each of 9 prompts; allowed: 128 in total")]
    [InlineData("""{"prompt": [1, "a"]}""", "prompt[1]: \"a\" is not a token id; allowed: 0 to 4294967295")]
    [InlineData("""{"prompt": [-1]}""", "prompt[0]: -1 is not a token id; allowed: 0 to 4294967295")]
    [InlineData("""{"prompt": [true]}""", "prompt[0]: true is not a prompt; allowed: a string, an array of token ids, or an array of up to 128 of these")]
    [InlineData("""{"prompt": "x", "logprobs": true}""", "logprobs: true is not a whole number; allowed: 0 to 20")]
    [InlineData("""{"prompt": "x", "max_completion_tokens": "5"}""", "max_completion_tokens: \"5\" is not a whole number; allowed: -1 to 2147483647")]
    [InlineData(
        """{"prompt": "x", "max_tokens": 1, "max_completion_tokens": 2}""",
        "max_tokens: 1 contradicts max_completion_tokens 2; allowed: one of them, or both equal")]
    [InlineData("""{"prompt": "x", "suffix": 5}""", "suffix: 5 is not a string; allowed: a string")]
    [InlineData("""{"prompt": "x", "best_of": "1"}""", "best_of: \"1\" is not a whole number; allowed: a whole number")]
    [InlineData("""{"prompt": "x", "user": 5}""", "user: 5 is not a string; allowed: a string")]
    public void Read_WrongCompletionMember_NamesFieldValueAndWhatIsAllowed(string body, string message) =>
        Assert.Equal(message, Assert.Throws<RequestRefusedException>(() => Completion(body)).Message);

    [Theory]
    [InlineData("", "the body is empty; allowed: a JSON object")]
    [InlineData("[1]", "the body is an array; allowed: a JSON object")]
    [InlineData("\"x\"", "the body is \"x\"; allowed: a JSON object")]
    [InlineData("{\n  \"model\": tiny}", "the body is not valid JSON at line 2, byte 13: ")]
    [InlineData("{\"model\": \"tiny\"", "the body is not valid JSON at line 1, byte 17: ")]
    [InlineData("{\"prompt\": \"x\"} {}", "the body is not valid JSON at line 1, byte 17: ")]
    [InlineData("{\"\\udc00\": 1}", "the member name \"\\udc00\" holds half of a surrogate pair; allowed: whole Unicode characters")]
    public void Read_BrokenJson_TellsWhere(string body, string message) =>
        Assert.StartsWith(message, Assert.Throws<RequestRefusedException>(() => Completion(body)).Message, StringComparison.Ordinal);

    /// <summary>A client has no reader to set options of.</summary>
    [Fact]
    public void Read_TrailingComma_DoesNotSpeakOfReaderOptions() => Assert.DoesNotContain(
        "reader", Assert.Throws<RequestRefusedException>(() => Completion("""{"prompt": "x",}""")).Message, StringComparison.OrdinalIgnoreCase);

    [Fact]
    public void Read_NotUtf8_IsRefused() =>
        Assert.Equal(
            "the body is not UTF-8; allowed: a JSON object in UTF-8",
            Assert.Throws<RequestRefusedException>(() => RequestMembers.Completion.Read((byte[])[.. "{\"prompt\":\""u8, 0xC3, .. "\"}"u8])).Message);

    [Theory]
    [InlineData(128, true)]
    [InlineData(129, false)]
    public void Read_Depth_IsBounded(int depth, bool isAllowed)
    {
        var body = $$"""{"prompt": "x", "deep": {{new string('[', depth - 1)}}{{new string(']', depth - 1)}} }""";

        if (isAllowed)
            Assert.Single(Completion(body).Generate.Extra);
        else
            Assert.Contains("up to 128 levels", Assert.Throws<RequestRefusedException>(() => Completion(body)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("stop", 17)]
    [InlineData("extra", 129)]
    [InlineData("logit_bias", 1025)]
    public void Read_OneMoreThanTheBound_IsRefused(string what, int count)
    {
        Completion(Body(count - 1));
        var refused = Assert.Throws<RequestRefusedException>(() => Completion(Body(count)));

        Assert.Contains($"up to {count - 1}", refused.Message, StringComparison.Ordinal);

        string Body(int items) => what switch
        {
            "stop" => $$"""{"prompt": "x", "stop": [{{Join(items, i => $"\"{i}\"")}}] }""",
            "logit_bias" => $$"""{"prompt": "x", "logit_bias": { {{Join(items, i => $"\"{i}\": 0")}} } }""",
            _ => $$"""{"prompt": "x", {{Join(items, i => $"\"m{i}\": {i}")}} }""",
        };
    }

    private static string Join(int count, Func<int, string> item) => string.Join(", ", Enumerable.Range(0, count).Select(item));

    private static OpenAiRequest Chat(string body) => RequestMembers.Chat.Read(Encoding.UTF8.GetBytes(body));

    private static OpenAiRequest Completion(string body) => RequestMembers.Completion.Read(Encoding.UTF8.GetBytes(body));
}
