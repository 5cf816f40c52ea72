using System.Text.Json;
using System.Text.RegularExpressions;
using Skein.Engines.OpenAiCompatible.Tools;

namespace Skein.Engines.Tests.OpenAiCompatible.Tools;

public partial class ToolCallFormTests
{
    private const string One = """<tool_call>{"name": "nqxz", "arguments": {"a": "b"}}</tool_call><|end|>next""";
    private const string Two = """<tool_call>{"name": "nqxz", "arguments": {"a": "b"}}</tool_call><tool_call>{"name": "nqxz", "arguments": {"a": "b"}}</tool_call><|end|>next""";

    [Theory]
    [InlineData("""<tool_call>{"name": "look_up", "arguments": {"at": [1, {"x": "}"}]}}</tool_call>""", """look_up {"at": [1, {"x": "}"}]}""")]
    [InlineData(
        """
        <tool_call>
         {"name":"f","arguments":{}}
        </tool_call>
        <tool_call>{"name": "g", "arguments": {"ü": "日"} } </tool_call>

        """, """f {} g {"ü": "日"}""")]
    [InlineData("""<tool_call>{"name": "f", "arguments": {}}""", "f {}")]
    [InlineData("""<tool_call>{"name": "f", "arguments": {}""", "")]
    [InlineData("""<tool_call>{"name": "f", "arguments": {"a""", "")]
    [InlineData("""<tool_call>{"name": "f", "arguments": "a"}</tool_call>""", "")]
    [InlineData("""<tool_call>{"arguments": {}, "name": "f"}</tool_call>""", "")]
    [InlineData("""<tool_call>{"name": "f", "arguments": {}}</tool_call> and more""", "")]
    [InlineData("""<tool_call>{"name": "f", "arguments": {}}</tool_call><tool_call>""", "")]
    [InlineData("", "")]
    public void Read_CallsOfTheForm_AreReadAndOthersAreNot(string text, string calls) => Assert.Equal(calls, Read(ToolCallForm.Find(One, 0, "nqxz", Two)!, text));

    [Theory]
    [InlineData("""[TOOL_CALLS][{"name": "nqxz", "arguments": {"a": "b"}}]</s>""", """[TOOL_CALLS][{"name": "nqxz", "arguments": {"a": "b"}}, {"name": "nqxz", "arguments": {"a": "b"}}]</s>""",
        """[TOOL_CALLS] [{"name": "f", "arguments": {}}, {"name": "g", "arguments": {"a": 1}}]""", """f {} g {"a": 1}""")]
    [InlineData("""{"name": "nqxz", "parameters": {"a": "b"}}<|eot_id|>""", null, """{"name": "f", "parameters": {"a": 1}}""", """f {"a": 1}""")]
    [InlineData("""{"name": "nqxz", "parameters": {"a": "b"}}<|eot_id|>""", null, """{"name": "f", "parameters": {"a": 1}}; {"name": "f", "parameters": {}}""", "")]
    [InlineData("<｜call▁begin｜>function<｜sep｜>nqxz\n```json\n{\"a\": \"b\"}\n```<｜call▁end｜>", null, "<｜call▁begin｜>function<｜sep｜>f\n```json\n{}\n```<｜call▁end｜>", "f {}")]
    public void Find_FormsOfOtherModels_AreRead(string one, string? two, string text, string calls) =>
        Assert.Equal(calls, Read(ToolCallForm.Find(one, 0, "nqxz", two)!, text));

    [Fact]
    public void Find_ArgumentsAreNoJson_IsUnknown() =>
        Assert.Null(ToolCallForm.Find("<tool_call><function=nqxz><parameter=a>b</parameter></function></tool_call>", 0, "nqxz", null));

    private static string Read(ToolCallForm form, string text)
    {
        var delta = form.Read(text);
        if (delta.IsEmpty)
        {
            return "";
        }

        var calls = JsonElement.Parse(delta.Span).GetProperty("tool_calls").EnumerateArray().ToList();
        Assert.Equal(Enumerable.Range(0, calls.Count), calls.Select(call => call.GetProperty("index").GetInt32()));
        Assert.All(calls, call => Assert.Matches(CallId(), call.GetProperty("id").GetString()!));
        return string.Join(' ', calls.Select(call => call.GetProperty("function")).Select(function => $"{function.GetProperty("name").GetString()} {function.GetProperty("arguments").GetString()}"));
    }

    [GeneratedRegex("^call_[0-9a-f]{32}$", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex CallId();
}
