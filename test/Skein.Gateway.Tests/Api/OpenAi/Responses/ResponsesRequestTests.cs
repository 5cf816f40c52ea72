using System.Text;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Api.OpenAi.Responses;
using Skein.Gateway.Api.OpenAi.Responses.Requests;

namespace Skein.Gateway.Tests.Api.OpenAi.Responses;

/// <summary>A body of <c>/v1/responses</c> becomes the chat that engines take.</summary>
public sealed class ResponsesRequestTests
{
    [Fact]
    public void Read_EveryMember_FillsItsField()
    {
        var request = Read("""
            {
              "model": "tiny", "max_output_tokens": 32000, "temperature": 0.5, "top_p": 0.9, "stream": true, "input": "hi", "instructions": "Be brief.",
              "reasoning": {"effort": "low", "summary": "auto"}, "store": false, "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
              "top_logprobs": 2, "prompt_cache_key": "k", "client_metadata": {"a": "b"}, "previous_response_id": null, "conversation": null, "background": false,
              "truncation": "disabled", "metadata": {"m": "1"}, "parallel_tool_calls": true, "service_tier": "auto", "stream_options": {"include_obfuscation": false},
              "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": true}, "verbosity": "low"}
            }
            """);

        var generate = request.Generate;
        Assert.Equal(("tiny", 32_000u, 2u), (generate.Model, generate.MaxTokens, generate.Logprobs));
        Assert.Equal((0.5f, 0.9f), (generate.Sampling.Temperature, generate.Sampling.TopP));
        Assert.True(request.Stream);
        Assert.Equal("""[{"role":"system","content":"Be brief."},{"role":"user","content":"hi"}]""", generate.Chat.Messages.ToStringUtf8());
        Assert.Equal(
            """{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type": "object"}}}""", generate.Chat.ResponseFormat.ToStringUtf8());
        Assert.Equal(
            ["prompt_cache_key=\"k\"", "reasoning_effort=\"low\"", "verbosity=\"low\""], generate.Extra.Select(member => $"{member.Name}={member.Json.ToStringUtf8()}"));
    }

    /// <summary>As Codex begins.</summary>
    [Fact]
    public void Read_DeveloperMessagesAtTheStart_JoinTheInstructions() => Assert.Equal(
        """[{"role":"system","content":"A\n\nB\n\nC"},{"role":"user","content":"env\n\ndo it"}]""",
        Messages(
            """
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "B"}]}, {"role": "developer", "content": "C"},
            {"type": "message", "role": "user", "id": "1", "content": [{"type": "input_text", "text": "env"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "do it"}]}
            """,
            "\"A\""));

    [Fact]
    public void Read_CallsResultsAndReasoning_BecomeMessages() => Assert.Equal(
        """
        [{"role":"user","content":"hi"},{"role":"assistant","content":"I look.","reasoning_content":"hm","tool_calls":[
        {"id":"c1","type":"function","function":{"name":"read","arguments":"{\"a\":1}"}},
        {"id":"c2","type":"function","function":{"name":"mcp__files__list","arguments":"{}"}},
        {"id":"c3","type":"function","function":{"name":"patch","arguments":"{\"input\":\"*** Begin\\n\\\"x\\\"\"}"}}]},
        {"role":"tool","tool_call_id":"c1","content":"one"},{"role":"tool","tool_call_id":"c2","content":"two\n\nthree"},
        {"role":"tool","tool_call_id":"c3","content":"ok"},{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:x","detail":"low"}}]}]
        """.ReplaceLineEndings(""),
        Messages("""
            {"role": "user", "content": "hi"},
            {"type": "reasoning", "id": "rs", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
            {"type": "reasoning", "id": "rs2", "summary": [], "encrypted_content": "xyz"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look.", "annotations": []}]},
            {"type": "function_call", "call_id": "c1", "name": "read", "arguments": "{\"a\":1}"},
            {"type": "function_call", "call_id": "c2", "name": "list", "namespace": "mcp__files__", "arguments": "{}"},
            {"type": "custom_tool_call", "call_id": "c3", "name": "patch", "input": "*** Begin\n\"x\""},
            {"type": "function_call_output", "call_id": "c1", "output": "one"},
            {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "two"}, {"type": "input_text", "text": "three"}]},
            {"type": "custom_tool_call_output", "call_id": "c3", "output": [{"type": "input_text", "text": "ok"},
              {"type": "input_image", "image_url": "data:x", "detail": "low"}]}
            """));

    [Fact]
    public void Read_Tools_BecomeFunctionsWithoutThoseThatOpenAiRuns()
    {
        var request = Read("""
            {"input": "hi", "parallel_tool_calls": false, "tool_choice": "auto", "tools": [
              {"type": "function", "name": "read", "description": "Reads.", "strict": true, "parameters": {"type": "object"}},
              {"type": "namespace", "name": "mcp__files__", "description": "Files.", "tools": [{"type": "function", "name": "list", "parameters": {}}]},
              {"type": "custom", "name": "patch", "description": "Patches.", "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}},
              {"type": "web_search", "external_web_access": false}]}
            """);

        Assert.Equal(
            """
            [{"type":"function","function":{"name":"read","description":"Reads.","parameters":{"type": "object"},"strict":true}},
            {"type":"function","function":{"name":"mcp__files__list","parameters":{}}},
            {"type":"function","function":{"name":"patch","description":"Patches.\n\nstart: x","parameters":{"type":"object","properties":{"input":
            {"type":"string","description":"The whole input of the tool."}},"required":["input"]}}}]
            """.ReplaceLineEndings(""),
            request.Generate.Chat.Tools.ToStringUtf8());
        Assert.Equal("\"auto\"", request.Generate.Chat.ToolChoice.ToStringUtf8());
        Assert.Equal("parallel_tool_calls=false", request.Generate.Extra.Select(member => $"{member.Name}={member.Json.ToStringUtf8()}").Single());
        Assert.Equal(new ClientTool("list", "mcp__files__", IsCustom: false), request.Catalog.ToolOf("mcp__files__list"));
        Assert.Equal(new ClientTool("patch", Namespace: null, IsCustom: true), request.Catalog.ToolOf("patch"));
    }

    [Theory]
    [InlineData("\"required\"", "\"required\"", 2)]
    [InlineData("""{"type": "function", "name": "b"}""", """{"type":"function","function":{"name":"b"}}""", 2)]
    [InlineData("""{"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "b"}]}""", "\"required\"", 1)]
    public void Read_ToolChoice_IsTranslated(string choice, string expected, int tools)
    {
        var chat = Read($$"""
            {"input": "hi", "tools": [{"type": "function", "name": "a"}, {"type": "function", "name": "b"}], "tool_choice": {{choice}}}
            """).Generate.Chat;

        Assert.Equal(expected, chat.ToolChoice.ToStringUtf8());
        Assert.Equal(tools, chat.Tools.ToStringUtf8().Split("\"function\":").Length - 1);
    }

    [Fact]
    public void Read_ChoiceWithoutTools_IsLeftOut() => Assert.True(
        Read("""{"input": "hi", "tools": [{"type": "web_search"}], "tool_choice": "auto", "parallel_tool_calls": true}""").Generate is
        {
            Chat: { Tools.IsEmpty: true, ToolChoice.IsEmpty: true }, Extra.Count: 0,
        });

    [Theory]
    [InlineData("""{"model": "tiny"}""", "input", "missing")]
    [InlineData("""{"input": []}""", "input", "no message")]
    [InlineData("""{"input": "hi", "previous_response_id": "resp_1"}""", "previous_response_id", "no gateway keeps responses; send the whole conversation as input")]
    [InlineData("""{"input": "hi", "conversation": {"id": "c"}}""", "conversation", "no gateway keeps responses")]
    [InlineData("""{"input": "hi", "prompt": {"id": "p"}}""", "prompt", "keeps no prompts")]
    [InlineData("""{"input": "hi", "background": true}""", "background", "allowed: false")]
    [InlineData("""{"input": "hi", "n": 2}""", "n", "allowed: 1")]
    [InlineData("""{"input": [{"type": "item_reference", "id": "x"}]}""", "input[0].id", "store: false")]
    [InlineData("""{"input": [{"type": "local_shell_call"}]}""", "input[0].type", "local_shell_call")]
    [InlineData("""{"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}""", "input[0].content[0].file_id", "keeps no files")]
    [InlineData("""{"input": "hi", "tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}}""", "tool_choice.type", "web_search")]
    [InlineData("""{"input": "hi", "tools": [{"type": "web_search"}], "tool_choice": "required"}""", "tool_choice", "no tool")]
    [InlineData("""{"input": "hi", "tools": [{"type": "function", "name": "a"}], "tool_choice": {"type": "function", "name": "b"}}""", "tool_choice.name", "b")]
    [InlineData("""{"input": "hi", "text": {"format": {"type": "xml"}}}""", "text.format.type", "xml")]
    [InlineData("""{"input": "hi", "metadata": 5}""", "metadata", "5 is not an object")]
    [InlineData("""{"input": "hi", "parallel_tool_calls": "x"}""", "parallel_tool_calls", "not a boolean")]
    [InlineData("""{"input": "hi", "truncation": 5}""", "truncation", "5 is not a string")]
    [InlineData("""{"input": "hi", "service_tier": 5}""", "service_tier", "5 is not a string")]
    [InlineData("""{"input": "hi", "max_tool_calls": "x"}""", "max_tool_calls", "not a whole number")]
    [InlineData("""{"input": "hi", "max_tool_calls": 1.5}""", "max_tool_calls", "not a whole number")]
    [InlineData("""{"input": "hi", "user": 5}""", "user", "5 is not a string")]
    [InlineData("""{"input": "hi", "prompt_cache_key": 5}""", "prompt_cache_key", "5 is not a string")]
    [InlineData("""{"input": "hi", "stream_options": 5}""", "stream_options", "5 is not an object")]
    [InlineData("""{"input": "hi", "reasoning": {"summary": 5}}""", "reasoning.summary", "5 is not a string")]
    [InlineData("""{"input": "hi", "text": {"verbosity": 5}}""", "text.verbosity", "5 is not a string")]
    [InlineData("""{"input": "hi", "reasoning": {"generate_summary": 5}}""", "reasoning.generate_summary", "5 is not a string")]
    [InlineData("""{"input": "hi", "metadata": {"a": 5}}""", "metadata.a", "5 is not a string")]
    [InlineData(
        """{"input": "hi", "text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "description": 5}}}""",
        "text.format.description", "5 is not a string")]
    [InlineData("""{"input": [{"role": "user", "content": [{"type": "input_audio"}]}]}""", "input[0].content[0].input_audio", "missing")]
    [InlineData("""{"input": [{"role": "user", "content": [{"type": "input_audio", "input_audio": 5}]}]}""", "input[0].content[0].input_audio", "5 is not")]
    [InlineData(
        """{"input": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AA", "format": 5}}]}]}""",
        "input[0].content[0].input_audio.format", "5 is not a string")]
    [InlineData("""{"input": "hi", "include": "x"}""", "include", "not an array")]
    [InlineData("""{"input": "hi", "include": ["reasoning.encrypted_content", "bogus"]}""", "include[1]", "bogus")]
    [InlineData("""{"input": "hi", "tools": [{"type": "zzz"}]}""", "tools[0].type", "zzz")]
    [InlineData(
        """{"input": "hi", "tools": [{"type": "namespace", "name": "a", "tools": [{"type": "namespace", "name": "b", "tools": []}]}]}""",
        "tools[0].tools[0].type", "no other namespace")]
    public void Read_WhatCannotBeServed_IsRefusedByName(string body, string field, string message)
    {
        var refused = Assert.Throws<RequestRefusedException>(() => Read(body));

        Assert.Equal(field, refused.Field);
        Assert.Contains(message, refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("web_search")]
    [InlineData("web_search_2025_08_26")]
    [InlineData("web_search_preview_2025_03_11")]
    [InlineData("computer_use_preview")]
    [InlineData("mcp")]
    public void Read_ToolsThatOpenAiRunsOrDefines_AreLeftOut(string type) =>
        Assert.True(Read($$"""{"input": "hi", "tools": [{"type": "{{type}}"}]}""").Catalog.IsEmpty);

    /// <summary>SDKs spell out the default.</summary>
    [Theory]
    [InlineData("\"top_logprobs\": 0", null)]
    [InlineData("\"top_logprobs\": null", null)]
    [InlineData("\"top_logprobs\": 2", 2u)]
    [InlineData("\"top_logprobs\": 0, \"include\": [\"message.output_text.logprobs\"]", 0u)]
    public void Read_TopLogprobs_TurnsLogprobsOnIfAboveZero(string members, uint? expected)
    {
        var generate = Read($$"""{"input": "hi", {{members}} }""").Generate;

        Assert.Equal(expected, generate.HasLogprobs ? generate.Logprobs : null);
    }

    /// <summary>Members of chats that this API has under another name: an engine would get them beside the translated ones, which come first.</summary>
    [Theory]
    [InlineData("messages", "input")]
    [InlineData("max_tokens", "max_output_tokens")]
    [InlineData("max_completion_tokens", "max_output_tokens")]
    [InlineData("response_format", "text.format")]
    [InlineData("reasoning_effort", "reasoning.effort")]
    [InlineData("verbosity", "text.verbosity")]
    [InlineData("logprobs", "top_logprobs")]
    [InlineData("functions", "tools")]
    [InlineData("function_call", "tool_choice")]
    public void Read_MemberWithAnotherNameInThisApi_IsRefusedWithThatName(string name, string allowed)
    {
        var refused = Assert.Throws<RequestRefusedException>(() => Read($$"""{"input": "hi", "{{name}}": 5}"""));

        Assert.Equal((name, "unsupported_parameter"), (refused.Field, refused.Code));
        Assert.EndsWith($"allowed: {allowed}", refused.Message, StringComparison.Ordinal);
        Assert.Empty(Read($$"""{"input": "hi", "{{name}}": null}""").Generate.Extra);
    }

    [Fact]
    public void Read_DescriptionOfASchema_IsPassedOn() => Assert.Equal(
        """{"type":"json_schema","json_schema":{"name":"n","description":"d","schema":{}}}""",
        Read("""{"input": "hi", "text": {"format": {"type": "json_schema", "name": "n", "description": "d", "schema": {}}}}""")
            .Generate.Chat.ResponseFormat.ToStringUtf8());

    [Fact]
    public void Read_NullMembers_CountAsAbsent() => Assert.Empty(Read("""
        {"input": "hi", "metadata": null, "parallel_tool_calls": null, "truncation": null, "service_tier": null, "max_tool_calls": null, "include": null,
         "user": null, "prompt_cache_key": null, "stream_options": null, "text": {"verbosity": null}, "reasoning": {"summary": null}}
        """).Generate.Extra);

    private static string Messages(string input, string instructions = "null") =>
        Read($$"""{"input": [{{input}}], "instructions": {{instructions}}}""").Generate.Chat.Messages.ToStringUtf8();

    private static ResponsesRequest Read(string body) => ResponsesMembers.Read(Encoding.UTF8.GetBytes(body), new KeptItems(0));
}
