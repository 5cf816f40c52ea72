using Google.Protobuf;
using Skein.Engines.Simulated;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.Simulated;

public class SimulatedRequestTests
{
    private const string Hello = """[{"role":"user","content":"hello"}]""";

    private static readonly Dictionary<string, Action<GenerateRequest>> Wrongs = new()
    {
        ["model is 'gpt'; this replica serves 'simulated'"] = request => request.Model = "gpt",
        ["prompt is missing; allowed: a text, token ids or a chat"] = request => request.ClearPrompt(),
        ["n is 2; allowed: 1: an engine makes one choice at a time"] = request => request.N = 2,
        ["logprobs is 21; allowed: 0 to 20"] = request => request.Logprobs = 21,
        ["stop is 17 texts; allowed: at most 16"] = request => request.Stop.Add(Enumerable.Repeat("x", 17)),
        ["stop[1] is 0 bytes long; allowed: 1 to 1024"] = request => request.Stop.Add(["x", ""]),
        ["temperature is 2.5; allowed: 0 to 2"] = request => request.Sampling.Temperature = 2.5f,
        ["temperature is NaN; allowed: 0 to 2"] = request => request.Sampling.Temperature = float.NaN,
        ["top_p is -1; allowed: 0 to 1"] = request => request.Sampling.TopP = -1,
        ["min_p is -1; allowed: 0 to 1"] = request => request.Sampling.MinP = -1,
        ["presence_penalty is 3; allowed: -2 to 2"] = request => request.Sampling.PresencePenalty = 3,
        ["frequency_penalty is -3; allowed: -2 to 2"] = request => request.Sampling.FrequencyPenalty = -3,
        ["repetition_penalty is Infinity; allowed: above 0, to 3.4e38"] = request => request.Sampling.RepetitionPenalty = float.PositiveInfinity,
        ["logit_bias is 99999; allowed: tokens of the model"] = request => request.Sampling.LogitBias[99999] = 1,
        ["logit_bias[5] is 101; allowed: -100 to 100"] = request => request.Sampling.LogitBias[5] = 101,
        ["token_ids[1] is 99999; the model has no such token"] = request => request.TokenIds = new TokenIds { Ids = { 1, 99999 } },
        ["echo is true; allowed: false for a chat"] = request => (request.Echo, request.Chat) = (true, Chat(Hello)),
        ["messages: [] is empty; allowed: an array of at least one message"] = request => request.Chat = Chat("[]"),
        ["tools: Object is not an array; allowed: an array"] = request => request.Chat = Chat(Hello, tools: "{}"),
        ["skein_fault is present; faults are not enabled on this replica"] =
            request => request.Extra.Add(new RawMember { Name = "skein_fault", Json = ByteString.CopyFromUtf8("{}") }),
    };

    [Theory]
    [InlineData("best_of", "2", true)]
    [InlineData("best_of", "\"all\"", true)]
    [InlineData("best_of", "1", false)]
    [InlineData("best_of", "null", false)]
    [InlineData("suffix", "\" end.\"", true)]
    [InlineData("suffix", "[", true)]
    [InlineData("suffix", "\"\"", false)]
    [InlineData("suffix", "null", false)]
    public async Task Generate_BestOfOrSuffix_IsRefusedNotIgnored(string name, string json, bool isRefused)
    {
        var request = Answer.Request("hello", 2);
        request.Extra.Add(new RawMember { Name = name, Json = ByteString.CopyFromUtf8(json) });

        var refusal = await Record.ExceptionAsync(() => Answer.FramesOf(request));

        Assert.Equal(isRefused, refusal is FaultException { Fault: Fault.Unsupported });
        Assert.Equal(isRefused, refusal?.Message.StartsWith($"{name} is {json}; allowed: ", StringComparison.Ordinal) ?? false);
    }

    public static TheoryData<string> Messages => [.. Wrongs.Keys];

    [Theory]
    [MemberData(nameof(Messages))]
    public async Task Generate_WrongField_IsRefusedByName(string message)
    {
        var request = Answer.Request("hello", 10);
        Wrongs[message](request);

        var refusal = await Assert.ThrowsAsync<FaultException>(() => Answer.FramesOf(request));

        Assert.Equal(message, refusal.Message);
        Assert.Equal(message.StartsWith("model", StringComparison.Ordinal) ? Fault.ModelNotFound : Fault.InvalidRequest, refusal.Fault);
    }

    [Theory]
    [InlineData("", "not valid JSON")]
    [InlineData("{", "is not an array")]
    [InlineData("[{", "not valid JSON")]
    [InlineData(Hello + " 2", "not valid JSON")]
    public async Task Generate_BrokenMessages_AreRefused(string messages, string expected)
    {
        var refusal = await Assert.ThrowsAsync<FaultException>(() => Answer.FramesOf(new GenerateRequest { Chat = Chat(messages) }));

        Assert.Equal(Fault.InvalidRequest, refusal.Fault);
        Assert.StartsWith("messages: ", refusal.Message);
        Assert.Contains(expected, refusal.Message);
    }

    [Fact]
    public async Task Generate_MessagesNestedTooDeeply_AreRefused()
    {
        var deep = new string('[', 10_000) + new string(']', 10_000);

        var refusal = await Assert.ThrowsAsync<FaultException>(() => Answer.FramesOf(new GenerateRequest { Chat = Chat(deep) }));

        Assert.Equal(Fault.InvalidRequest, refusal.Fault);
    }

    [Theory]
    [InlineData("\"required\"", "")]
    [InlineData("{\"type\":\"function\"}", "")]
    [InlineData("", "{\"type\":\"json_object\"}")]
    [InlineData("", "[]")]
    public async Task Generate_ChatThatNeedsMoreThanText_IsUnsupported(string toolChoice, string responseFormat)
    {
        var chat = Chat(Hello, "[]");
        chat.ToolChoice = ByteString.CopyFromUtf8(toolChoice);
        chat.ResponseFormat = ByteString.CopyFromUtf8(responseFormat);

        var refusal = await Assert.ThrowsAsync<FaultException>(() => Answer.FramesOf(new GenerateRequest { Chat = chat }));

        Assert.Equal(Fault.Unsupported, refusal.Fault);
    }

    [Theory]
    [InlineData(60, 0u, "the model's context holds 16 tokens; asked for: a prompt of 20")]
    [InlineData(30, 7u, "the model's context holds 16 tokens; asked for: a prompt of 10 and max_tokens 7")]
    [InlineData(30, uint.MaxValue, "the model's context holds 16 tokens; asked for: a prompt of 10 and max_tokens 4294967295")]
    public async Task Generate_MoreThanTheContext_IsRefused(int promptBytes, uint maxTokens, string message)
    {
        var engine = Answer.Engine(new SimulatedEngineOptions { ContextTokens = 16 });

        var refusal = await Assert.ThrowsAsync<FaultException>(
            () => Answer.FramesOf(Answer.Request(new string('x', promptBytes), maxTokens), engine));

        Assert.Equal(Fault.ContextLengthExceeded, refusal.Fault);
        Assert.Equal(message, refusal.Message);
    }

    [Fact]
    public async Task Generate_WithoutMaxTokensInASmallContext_FillsIt()
    {
        var engine = Answer.Engine(new SimulatedEngineOptions { ContextTokens = 16 });

        Assert.Equal(6, (await Answer.Of(new GenerateRequest { Text = new string('x', 30) }, engine)).Ids.Count);
    }

    [Fact]
    public void Create_SettingOutOfRange_IsRefusedByName()
    {
        var refusal = Assert.Throws<ArgumentException>(() => Answer.Engine(new SimulatedEngineOptions { TokensPerSecond = -1 }));

        Assert.StartsWith("TokensPerSecond is -1; allowed: 0 to 1000000", refusal.Message);
    }

    private static ChatPrompt Chat(string messages, string tools = "") =>
        new() { Messages = ByteString.CopyFromUtf8(messages), Tools = ByteString.CopyFromUtf8(tools) };
}
