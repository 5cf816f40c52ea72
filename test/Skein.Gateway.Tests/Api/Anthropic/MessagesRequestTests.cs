using System.Text;
using Skein.Gateway.Api.Anthropic.Requests;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Tests.Api.Anthropic;

/// <summary>A body of <c>/v1/messages</c> becomes the chat that engines take.</summary>
public sealed class MessagesRequestTests
{
    [Fact]
    public void Read_EveryMember_FillsItsField()
    {
        var request = Read("""
            {
              "model": "tiny", "max_tokens": 32000, "temperature": 0.5, "top_p": 0.9, "top_k": 40, "seed": 7, "stop_sequences": ["a", "b"], "stream": true,
              "messages": [{"role": "user", "content": "hi"}], "thinking": {"type": "adaptive"},
              "output_config": {"effort": "max", "format": {"type": "json_schema", "schema": {"type": "object"}}},
              "metadata": {"user_id": "u"}, "service_tier": "auto", "context_management": {"edits": []}, "cache_control": {"type": "ephemeral"}, "mcp_servers": [],
              "chat_template_kwargs": {"x": 1}
            }
            """);

        var generate = request.Generate;
        Assert.Equal(("tiny", 32_000u), (generate.Model, generate.MaxTokens));
        Assert.Equal((0.5f, 0.9f, 40u, 7ul), (generate.Sampling.Temperature, generate.Sampling.TopP, generate.Sampling.TopK, generate.Sampling.Seed));
        Assert.Equal(["a", "b"], generate.Stop);
        Assert.True(request is { Stream: true, ShowsThinking: true });
        Assert.Equal(
            """{"type":"json_schema","json_schema":{"name":"answer","strict":true,"schema":{"type": "object"}}}""",
            generate.Chat.ResponseFormat.ToStringUtf8());
        Assert.Equal(
            ["chat_template_kwargs={\"x\": 1}", "reasoning_effort=\"high\""],
            generate.Extra.Select(member => $"{member.Name}={member.Json.ToStringUtf8()}"));
    }

    [Theory]
    [InlineData("\"Be brief.\"")]
    [InlineData("""[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]""")]
    [InlineData("""[{"type": "text", "text": "x-anthropic-billing-header: cc_version=2; cch=1f;"}, {"type": "text", "text": "Be brief."}]""")]
    public void Read_System_IsTheFirstMessage(string system) => Assert.Equal(
        """[{"role":"system","content":"Be brief."},{"role":"user","content":"hi"}]""",
        Messages("""{"role": "user", "content": "hi"}""", system));

    [Fact]
    public void Read_SystemAmongTheMessagesBeforeTheFirstAnswer_JoinsTheFirstMessage() => Assert.Equal(
        """[{"role":"system","content":"A\n\nB\n\nC"},{"role":"user","content":"hi"}]""",
        Messages(
            """{"role": "user", "content": "hi"}, {"role": "system", "content": "C"}""",
            """[{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]"""));

    /// <summary>Many templates refuse a system message that is not the first; moved to the front, it would change the prefix of a long conversation.</summary>
    [Fact]
    public void Read_SystemAfterAnAnswer_BecomesAReminderInItsPlace() => Assert.Equal(
        """
        [{"role":"system","content":"A"},{"role":"user","content":"hi"},{"role":"assistant","content":"ho"},
        {"role":"user","content":"more\n\n<system-reminder>\nB\n</system-reminder>"}]
        """.ReplaceLineEndings(""),
        Messages(
            """
            {"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}, {"role": "user", "content": "more"}, {"role": "system", "content": "B"}
            """,
            "\"A\""));

    [Fact]
    public void Read_TextBlocks_AreOneTextAndKeepTheirEscapes() => Assert.Equal(
        """[{"role":"user","content":"h\u00e9\n\n\"2\""}]""",
        Messages("""{"role": "user", "content": [{"type": "text", "text": "h\u00e9"}, {"type": "text", "text": "\"2\""}]}"""));

    [Fact]
    public void Read_ImagesAndDocuments_BecomePartsInOrder() => Assert.Equal(
        """
        [{"role":"user","content":[{"type":"text","text":"see"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},
        {"type":"image_url","image_url":{"url":"http://pictures.example/1"}},{"type":"file","file":{"filename":"t","file_data":"data:application/pdf;base64,BBBB"}},
        {"type":"text","text":"plain"}]}]
        """.ReplaceLineEndings(""),
        Messages("""
            {"role": "user", "content": [
              {"type": "text", "text": "see"},
              {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
              {"type": "image", "source": {"type": "url", "url": "http://pictures.example/1"}},
              {"type": "document", "title": "t", "source": {"type": "base64", "media_type": "application/pdf", "data": "BBBB"}},
              {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}}
            ]}
            """));

    [Fact]
    public void Read_ToolUseAndResult_BecomeACallAndItsResult() => Assert.Equal(
        """
        [{"role":"user","content":"hi"},{"role":"assistant","content":"I look.","reasoning_content":"hm","tool_calls":[
        {"id":"t1","type":"function","function":{"name":"read","arguments":"{\"path\": \"a\\n\"}"}},
        {"id":"t2","type":"function","function":{"name":"read","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"t1","content":"one\n\ntwo"},{"role":"tool","tool_call_id":"t2","content":"Error:\n\ngone"},
        {"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},{"type":"text","text":"go on"}]}]
        """.ReplaceLineEndings(""),
        Messages("""
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [
              {"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "redacted_thinking", "data": "x"}, {"type": "text", "text": "I look."},
              {"type": "tool_use", "id": "t1", "name": "read", "input": {"path": "a\n"}}, {"type": "tool_use", "id": "t2", "name": "read", "input": {}}]},
            {"role": "user", "content": [
              {"type": "text", "text": "go on"},
              {"type": "tool_result", "tool_use_id": "t1", "content": [
                {"type": "text", "text": "one"}, {"type": "text", "text": "two"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]},
              {"type": "tool_result", "tool_use_id": "t2", "is_error": true, "content": "gone"}]}
            """));

    [Fact]
    public void Read_LastMessageOfTheAssistant_IsContinued()
    {
        var request = Read("""{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "{"}]}""");

        Assert.Equal(
            ["add_generation_prompt=false", "continue_final_message=true"],
            request.Generate.Extra.Select(member => $"{member.Name}={member.Json.ToStringUtf8()}"));
    }

    [Fact]
    public void Read_ThinkingDisabled_IsToldToTheTemplate()
    {
        var request = Read("""{"messages": [{"role": "user", "content": "hi"}], "thinking": {"type": "disabled"}}""");

        Assert.Equal("chat_template_kwargs={\"enable_thinking\":false}", request.Generate.Extra.Select(member => $"{member.Name}={member.Json.ToStringUtf8()}").Single());
        Assert.False(request.ShowsThinking);
    }

    [Fact]
    public void Read_Tools_BecomeFunctionsWithoutThoseThatAnthropicDefines()
    {
        var chat = Read("""
            {"messages": [{"role": "user", "content": "hi"}], "tools": [
              {"name": "read", "description": "Reads \"x\".", "input_schema": {"type":"object"}, "cache_control": {"type": "ephemeral"}},
              {"type": "custom", "name": "write", "input_schema": {}, "strict": true},
              {"type": "web_search_20250305", "name": "web_search", "max_uses": 5}]}
            """).Generate.Chat;

        Assert.Equal(
            """
            [{"type":"function","function":{"name":"read","description":"Reads \"x\".","parameters":{"type":"object"}}},
            {"type":"function","function":{"name":"write","parameters":{},"strict":true}}]
            """.ReplaceLineEndings(""),
            chat.Tools.ToStringUtf8());
        Assert.True(chat.ToolChoice.IsEmpty);
    }

    [Theory]
    [InlineData("""{"type": "auto"}""", "\"auto\"")]
    [InlineData("""{"type": "any", "disable_parallel_tool_use": false}""", "\"required\"")]
    [InlineData("""{"type": "none"}""", "\"none\"")]
    [InlineData("""{"type": "tool", "name": "read"}""", """{"type":"function","function":{"name":"read"}}""")]
    public void Read_ToolChoice_IsTranslated(string choice, string expected) => Assert.Equal(
        expected,
        Read($$$"""{"messages": [{"role": "user", "content": "hi"}], "tools": [{"name": "read", "input_schema": {}}], "tool_choice": {{{choice}}}}""")
            .Generate.Chat.ToolChoice.ToStringUtf8());

    [Fact]
    public void Read_NoParallelToolUse_IsPassedOn() => Assert.Equal(
        "parallel_tool_calls=false",
        Read("""
            {"messages": [{"role": "user", "content": "hi"}], "tools": [{"name": "read", "input_schema": {}}],
             "tool_choice": {"type": "auto", "disable_parallel_tool_use": true}}
            """).Generate.Extra.Select(member => $"{member.Name}={member.Json.ToStringUtf8()}").Single());

    [Theory]
    [InlineData("""{"max_tokens": 1}""", "messages", "messages: missing")]
    [InlineData("""{"messages": []}""", "messages", "messages: is empty")]
    [InlineData("""{"messages": [{"role": "robot", "content": "x"}]}""", "messages[0].role", "allowed: user, assistant, system")]
    [InlineData("""{"messages": [{"role": "user"}]}""", "messages[0].content", "missing")]
    [InlineData("""{"messages": [{"role": "user", "content": 5}]}""", "messages[0].content", "5 is not an array")]
    [InlineData("""{"messages": [{"role": "user", "content": [{"type": "container_upload"}]}]}""", "messages[0].content[0].type", "container_upload")]
    [InlineData(
        """{"messages": [{"role": "assistant", "content": [{"type": "server_tool_use", "id": "a", "name": "web_search", "input": {}}]}]}""",
        "messages[0].content[0].type", "server_tool_use")]
    [InlineData("""{"messages": [{"role": "user", "content": "x"}], "mcp_servers": [{"type": "url"}]}""", "mcp_servers", "no such service")]
    [InlineData("""{"messages": [{"role": "user", "content": "x"}], "n": 2}""", "n", "allowed: 1")]
    [InlineData("""{"messages": [{"role": "user", "content": "x"}], "thinking": {"type": "sometimes"}}""", "thinking.type", "sometimes")]
    [InlineData(
        """{"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "bash_20250124", "name": "bash"}], "tool_choice": {"type": "tool", "name": "bash"}}""",
        "tool_choice.name", "bash")]
    [InlineData(
        """{"messages": [{"role": "user", "content": "x"}], "tools": [{"name": "a", "input_schema": {}}, {"name": "a", "input_schema": {}}]}""",
        "tools[1].name", "each name once")]
    [InlineData("""{"messages": [{"role": "user", "content": "x"}], "tool_choice": {"type": "any"}}""", "tool_choice.type", "no tool")]
    [InlineData("""{"messages": [{"role": "\ud800", "content": "x"}]}""", "messages[0].role", "surrogate")]
    [InlineData("""{"messages": [{"role": "user", "content": "x"}], "metadata": 5}""", "metadata", "5 is not an object")]
    [InlineData("""{"messages": [{"role": "user", "content": "x"}], "metadata": {"user_id": 5}}""", "metadata.user_id", "5 is not a string")]
    [InlineData("""{"messages": [{"role": "user", "content": "x"}], "stop_sequences": "w3"}""", "stop_sequences", "\"w3\" is not an array")]
    [InlineData("""{"messages": [{"role": "user", "content": "x"}], "stop_sequences": [5]}""", "stop_sequences[0]", "5 is not a string")]
    [InlineData("""{"messages": [{"role": "user", "content": "x"}], "service_tier": 5}""", "service_tier", "5 is not a string")]
    [InlineData("""{"messages": [{"role": "user", "content": "x"}], "cache_control": 5}""", "cache_control", "5 is not an object")]
    [InlineData("""{"messages": [{"role": "user", "content": "x"}], "stop_sequences": {}}""", "stop_sequences", "allowed: an array of up to 16 strings")]
    [InlineData("""{"messages": [{"role": "user", "content": "x"}], "thinking": {"type": "enabled", "budget_tokens": "x"}}""", "thinking.budget_tokens", "whole")]
    [InlineData("""{"messages": [{"role": "user", "content": "x"}], "thinking": {"type": "adaptive", "budget_tokens": 1.5}}""", "thinking.budget_tokens", "whole")]
    [InlineData(
        """{"messages": [{"role": "user", "content": "x"}], "tool_choice": {"type": "auto", "disable_parallel_tool_use": 5}}""",
        "tool_choice.disable_parallel_tool_use", "5 is not a boolean")]
    [InlineData("""{"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "zzz", "name": "a"}]}""", "tools[0].type", "zzz")]
    [InlineData(
        """
        {"messages": [{"role": "user", "content": "x"}], "output_format": {"type": "json_schema", "schema": {}},
         "output_config": {"format": {"type": "json_schema", "schema": {}}}}
        """,
        "output_format", "allowed: one of both")]
    [InlineData(
        """{"messages": [{"role": "user", "content": [{"type": "document", "context": 5, "source": {"type": "text", "data": "x"}}]}]}""",
        "messages[0].content[0].context", "5 is not a string")]
    [InlineData(
        """{"messages": [{"role": "user", "content": [{"type": "document", "citations": {"enabled": 5}, "source": {"type": "text", "data": "x"}}]}]}""",
        "messages[0].content[0].citations.enabled", "5 is not a boolean")]
    [InlineData(
        """{"messages": [{"role": "user", "content": [{"type": "search_result", "title": 5, "source": "s", "content": []}]}]}""",
        "messages[0].content[0].title", "5 is not a string")]
    public void Read_WhatCannotBeServed_IsRefusedByName(string body, string field, string message)
    {
        var refused = Assert.Throws<RequestRefusedException>(() => Read(body));

        Assert.Equal(field, refused.Field);
        Assert.Contains(message, refused.Message, StringComparison.Ordinal);
    }

    /// <summary>Members of chats that this API has under another name: an engine would get them beside the translated ones, which come first.</summary>
    [Theory]
    [InlineData("stop", "stop_sequences")]
    [InlineData("max_completion_tokens", "max_tokens")]
    [InlineData("max_tokens_to_sample", "max_tokens")]
    [InlineData("response_format", "output_config.format")]
    [InlineData("reasoning_effort", "output_config.effort")]
    [InlineData("parallel_tool_calls", "tool_choice.disable_parallel_tool_use")]
    [InlineData("functions", "tools")]
    [InlineData("function_call", "tool_choice")]
    [InlineData("prompt", "messages")]
    [InlineData("logprobs", "no log probabilities")]
    [InlineData("top_logprobs", "no log probabilities")]
    public void Read_MemberWithAnotherNameInThisApi_IsRefusedWithThatName(string name, string allowed)
    {
        var refused = Assert.Throws<RequestRefusedException>(() => Read($$"""{"messages": [{"role": "user", "content": "x"}], "{{name}}": 5}"""));

        Assert.Equal((name, "unsupported_parameter"), (refused.Field, refused.Code));
        Assert.Contains(allowed, refused.Message, StringComparison.Ordinal);
        Assert.Empty(Read($$"""{"messages": [{"role": "user", "content": "x"}], "{{name}}": null}""").Generate.Extra);
    }

    /// <summary>What names a source is for the model to read, as in Anthropic's API.</summary>
    [Fact]
    public void Read_TitlesSourcesAndContexts_AreInFrontOfTheirTexts() => Assert.Equal(
        """[{"role":"user","content":"Report\n\nof May\n\nall is well\n\nhttp://a.example\n\nFound\n\nit is"}]""",
        Messages("""
            {"role": "user", "content": [
              {"type": "document", "title": "Report", "context": "of May", "citations": {"enabled": false}, "source": {"type": "text", "data": "all is well"}},
              {"type": "search_result", "source": "http://a.example", "title": "Found", "content": [{"type": "text", "text": "it is"}]}]}
            """));

    [Theory]
    [InlineData("bash_20250124")]
    [InlineData("web_fetch_20250910")]
    [InlineData("tool_search_tool_regex")]
    [InlineData("mcp_toolset")]
    public void Read_ToolsThatAnthropicRunsOrDefines_AreLeftOut(string type) => Assert.True(
        Read($$"""{"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "{{type}}", "name": "a"}]}""").Generate.Chat.Tools.IsEmpty);

    private static string Messages(string messages, string system = "null") =>
        Read($$"""{"messages": [{{messages}}], "system": {{system}}}""").Generate.Chat.Messages.ToStringUtf8();

    private static MessagesRequest Read(string body) => MessagesMembers.All.Read(Encoding.UTF8.GetBytes(body));
}
