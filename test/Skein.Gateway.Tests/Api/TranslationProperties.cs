using System.Text;
using System.Text.Json;
using CsCheck;
using Skein.Gateway.Api.Anthropic.Requests;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Api.OpenAi.Requests;
using Skein.Gateway.Api.OpenAi.Responses;
using Skein.Gateway.Api.OpenAi.Responses.Requests;
using Skein.Gateway.Tests.Api.OpenAi;
using Skein.Protocol.V1;

namespace Skein.Gateway.Tests.Api;

/// <summary>What must hold for any body of an API that is translated. Failures print a seed: pass it to Sample to replay.</summary>
public sealed class TranslationProperties
{
    private static readonly Gen<string> Word = Gen.OneOf(
        "text", "image", "document", "tool_use", "tool_result", "thinking", "base64", "url", "content", "user", "assistant", "system", "developer", "message",
        "function", "custom", "namespace", "function_call", "function_call_output", "custom_tool_call", "reasoning", "input_text", "output_text", "input_image",
        "input_file", "auto", "any", "tool", "required", "allowed_tools", "json_schema", "enabled", "a", "\\udc00", "\\u0061").Select(word => $"\"{word}\"");

    private static readonly Gen<string> Name = Gen.OneOf(
        "type", "role", "content", "text", "source", "data", "media_type", "url", "tool_use_id", "id", "name", "input", "input_schema", "description", "call_id",
        "arguments", "output", "tools", "mode", "format", "schema", "effort", "thinking", "image_url", "file_data", "namespace", "strict", "is_error", "\\udc00x");

    private static readonly Gen<string> Value = Nested(4);

    private static readonly Gen<string> Member = Gen.Select(
        Gen.OneOf(
            "messages", "system", "tools", "tool_choice", "thinking", "output_config", "stop_sequences", "max_tokens", "input", "instructions", "text", "reasoning",
            "include", "max_output_tokens", "parallel_tool_calls", "previous_response_id", "metadata", "model", "stream", "temperature"),
        Value,
        (name, value) => $"\"{name}\":{value}");

    /// <summary>Valid, so that a body also gets past its first parts.</summary>
    private static readonly Gen<string> Block = Gen.Frequency(
        (9, Gen.OneOf(
            """{"type":"text","text":"\ud83d\ude00\n"}""", """{"type":"image","source":{"type":"url","url":"u"}}""",
            """{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"r"}]}""", """{"type":"tool_result","tool_use_id":"t","is_error":true}""",
            """{"type":"document","source":{"type":"content","content":[{"type":"text","text":"d"}]}}""")),
        (1, Value));

    private static readonly Gen<string> Item = Gen.Frequency(
        (9, Gen.OneOf(
            """{"role":"assistant","content":[{"type":"output_text","text":"a"}]}""", """{"role":"developer","content":"d"}""",
            """{"type":"function_call","call_id":"c","name":"f","namespace":"n","arguments":"{}"}""",
            """{"type":"custom_tool_call","call_id":"c","name":"f","input":"\"\n"}""", """{"type":"function_call_output","call_id":"c","output":"o"}""",
            """{"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"r"}]}""")),
        (1, Value));

    private static readonly Gen<string> Conversation = Gen.Select(Block.Array[0, 4], Item.Array[0, 4], (blocks, items) =>
        $$"""
        "messages":[{"role":"user","content":[{"type":"text","text":"y"},{{string.Join(",", blocks.DefaultIfEmpty("""{"type":"text","text":"z"}"""))}}]}],
        "input":[{"role":"user","content":"x"},{{string.Join(",", items.DefaultIfEmpty("""{"role":"user","content":"z"}"""))}}]
        """.ReplaceLineEndings(""));

    private static readonly Gen<byte[]> Body = Gen.Frequency(
        (1, Member.Array[0, 5].Select(members => string.Join(",", members))),
        (3, Gen.Select(Conversation, Member.Where(member => !member.StartsWith("\"messages\"", StringComparison.Ordinal)
            && !member.StartsWith("\"input\"", StringComparison.Ordinal)).Array[0, 2], (conversation, others) => string.Join(",", [conversation, .. others]))))
        .Select(members => Encoding.UTF8.GetBytes($"{{{members}}}"));

    [Fact]
    public void Read_AnyBody_BecomesAChatOrIsRefused()
    {
        var counts = new int[2];

        Body.Sample(
            body =>
            {
                Interlocked.Increment(ref counts[IsRead(() => MessagesMembers.All.Read(body)) ? 0 : 1]);
                Interlocked.Increment(ref counts[IsRead(() => ResponsesMembers.Read(body, new KeptItems(0))) ? 0 : 1]);
            },
            iter: 10_000);

        Assert.All(counts, count => Assert.True(count > 500, $"{counts[0]} bodies were read, {counts[1]} refused"));
    }

    private static bool IsRead(Func<OpenAiRequest> read)
    {
        GenerateRequest generate;
        try
        {
            generate = read().Generate;
        }
        catch (RequestRefusedException refused)
        {
            Assert.InRange(refused.Status, 400, 499);
            Assert.DoesNotContain('\n', refused.Message);
            Assert.True(refused.Message.Length < 500, refused.Message);
            return false;
        }

        var messages = JsonElement.Parse(generate.Chat.Messages.Span);
        Assert.All(messages.EnumerateArray(), message => Assert.Equal(JsonValueKind.String, message.GetProperty("role").ValueKind));
        foreach (var json in new[] { generate.Chat.Tools, generate.Chat.ToolChoice, generate.Chat.ResponseFormat }.Where(json => !json.IsEmpty))
            JsonElement.Parse(json.Span);
        return true;
    }

    private static Gen<string> Nested(int depth)
    {
        if (depth == 0)
            return Gen.Frequency((3, Word), (1, JsonTexts.Any));
        var inner = Nested(depth - 1);
        var array = inner.Array[0, 3].Select(items => $"[{string.Join(",", items)}]");
        var @object = Gen.Select(Gen.Select(Name, inner, (name, value) => $"\"{name}\":{value}").Array[0, 4], Word, (members, type) =>
            $"{{{string.Join(",", [.. members, $"\"type\":{type}"])}}}");
        return Gen.Frequency((2, Word), (2, array), (4, @object), (1, JsonTexts.Any));
    }
}
