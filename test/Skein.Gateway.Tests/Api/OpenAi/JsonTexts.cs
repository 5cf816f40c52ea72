using System.Text.Json;
using CsCheck;

namespace Skein.Gateway.Tests.Api.OpenAi;

/// <summary>Random JSON as text: odd white space, escapes and numbers included, for members that must be passed on byte for byte.</summary>
internal static class JsonTexts
{
    public static readonly string[] KnownNames =
    [
        "model", "messages", "prompt", "n", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "min_p", "seed",
        "presence_penalty", "frequency_penalty", "repetition_penalty", "logit_bias", "stop", "logprobs", "top_logprobs", "echo", "stream",
        "stream_options", "tools", "tool_choice", "response_format",
    ];

    private static readonly Gen<string> Scalar = Gen.OneOf(
        Gen.OneOf("null", "true", "false", "0", "-1", "1", "2.50", "1E5", "-0.0", "1e999", "16", "99999999999999999999"),
        Gen.OneOf("\"\"", "\"user\"", "\"a\\u0041\\n\"", "\"\\ud83d\\ude00\"", "\"\\udc00\"", "\"é😀\"", "\"/ \\\\ \\\"\""),
        Gen.String.Select(text => JsonSerializer.Serialize(text)));

    private static readonly Gen<string> Space = Gen.OneOf("", " ", "\n", "\t ", "\r\n");

    public static readonly Gen<string> Any = Nested(4);

    /// <summary>Values of the expected type, so that a random body also gets past its first members.</summary>
    public static readonly Gen<string> Likely = Gen.Frequency(
        (3, Any),
        (1, Gen.OneOf("""[{"role":"user","content":"hi"}]""", """[{"role":"user","content":[{"type":"text"}]}]""", "[\"a\"]", "[1,2]", """{"5":1}""")));

    private static Gen<string> Nested(int depth)
    {
        if (depth == 0)
            return Scalar;
        var inner = Nested(depth - 1);
        var array = Gen.Select(inner.Array[0, 3], Space, (items, space) => $"[{space}{string.Join($"{space},{space}", items)}]");
        var member = Gen.Select(Gen.OneOf("role", "content", "index", "a", "é", "\\u0061b"), Space, inner, (name, space, value) => $"\"{name}\"{space}:{space}{value}");
        var @object = Gen.Select(member.Array[0, 3], Space, (members, space) => $"{{{space}{string.Join(",", members)}{space}}}");
        return Gen.Frequency((3, Scalar), (1, array), (1, @object));
    }
}
