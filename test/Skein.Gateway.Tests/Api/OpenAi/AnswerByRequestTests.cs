using Skein.Protocol.V1;

namespace Skein.Gateway.Tests.Api.OpenAi;

/// <summary>The members of an answer that depend on the request.</summary>
public sealed class AnswerByRequestTests
{
    [Fact]
    public async Task Post_EchoWithLogprobsOfIds_OffsetsBeginWhereTheReplicaSays()
    {
        var start = Frames.Start();
        start.Start.EchoedCharacters = 7;
        await using var gateway = await TestGateway.StartAsync(session => Finish(
            session, start, Frames.Scored(0, "a", -0.5f, "b", -1), Frames.Scored(1, "c", -0.25f, "d", -2), Frames.Finish(2)));
        const string Body = """{"prompt": [1, 2, 3], "echo": true, "logprobs": 1, "stream": """;

        var streamed = await gateway.Client.PostTextAsync(Requests.CompletionPath, Body + "true}");
        var whole = await gateway.Client.PostTextAsync(Requests.CompletionPath, Body + "false}");

        Assert.Contains("\"text_offset\":[7]", streamed, StringComparison.Ordinal);
        Assert.Contains("\"text_offset\":[8]", streamed, StringComparison.Ordinal);
        Assert.Contains("\"text_offset\":[7,8]", whole, StringComparison.Ordinal);
    }

    /// <summary>Some servers tell more in a whole answer.</summary>
    [Fact]
    public async Task Post_WholeOrStreamed_TheEngineIsToldWhich()
    {
        var asked = new List<bool>();
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            asked.Add(session.Request.Whole);
            Finish(session, Frames.Start(), Frames.Finish(0));
        });

        await gateway.Client.PostTextAsync(Requests.ChatPath, Requests.WholeChat);
        await gateway.Client.PostTextAsync(Requests.ChatPath, Requests.StreamedChat);

        Assert.Equal([true, false], asked);
    }

    [Theory]
    [InlineData("functions", "function_call")]
    [InlineData("tools", "tool_calls")]
    public async Task Post_ModelCalls_FinishesInTheWordOfTheRequest(string member, string reason)
    {
        const string Call = """{"function_call":{"name":"f","arguments":"{}"}}""";
        await using var gateway = await TestGateway.StartAsync(session => Finish(session, Frames.Start(), Frames.ToolCalls(3, Call)));

        foreach (var body in new[] { Requests.StreamedChat, Requests.WholeChat })
        {
            var text = await gateway.Client.PostTextAsync(Requests.ChatPath, body.Replace("{\"model\"", $"{{\"{member}\": [], \"model\"", StringComparison.Ordinal));
            Assert.Contains($"\"finish_reason\":\"{reason}\"", text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Post_EchoWithLogprobs_OffsetsBeginBehindThePrompt()
    {
        const string Prompt = "h\U0001f600é";
        await using var gateway = await TestGateway.StartAsync(session => Finish(
            session, Frames.Start(), Frames.Scored(0, "a", -0.5f, "b", -1), Frames.Scored(1, "c", -0.25f, "d", -2), Frames.Finish(2)));
        const string Body = $$"""{"prompt": "{{Prompt}}", "echo": true, "logprobs": 1, "stream": """;

        var streamed = await gateway.Client.PostTextAsync(Requests.CompletionPath, Body + "true}");
        var whole = await gateway.Client.PostTextAsync(Requests.CompletionPath, Body + "false}");

        Assert.Contains("\"text_offset\":[3]", streamed, StringComparison.Ordinal);
        Assert.Contains("\"text_offset\":[4]", streamed, StringComparison.Ordinal);
        Assert.Contains("\"text_offset\":[3,4]", whole, StringComparison.Ordinal);
    }

    private static void Finish(ScriptedSession session, params GenerateFrame[] frames)
    {
        session.Push(frames);
        session.End();
    }
}
