using System.ClientModel;
using System.ClientModel.Primitives;
using OpenAI;
using OpenAI.Chat;
using OpenAI.Models;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Api.OpenAi;

/// <summary>OpenAI's .NET client reads our answers.</summary>
public sealed class OfficialClientTests
{
    [Fact]
    public async Task CompleteChat_Whole_IsUnderstood()
    {
        await using var gateway = await StartAsync(Frames.Answer("Once", " upon"));

        ChatCompletion answer = await Chat(gateway).CompleteChatAsync([new UserChatMessage("hi")], new ChatCompletionOptions { Temperature = 0, MaxOutputTokenCount = 7, StopSequences = { "\n" } });

        Assert.Equal("Once upon", answer.Content[0].Text);
        Assert.Equal(ChatFinishReason.Stop, answer.FinishReason);
        Assert.Equal(3, answer.Usage.InputTokenCount);
        Assert.Equal(2, answer.Usage.OutputTokenCount);
        Assert.Equal("chatcmpl-0123456789abcdef0123456789abcdef", answer.Id);
        var request = (await gateway.Sessions.StartedAsync()).Request;
        Assert.Equal(7u, request.MaxTokens);
        Assert.Equal(["\n"], request.Stop);
    }

    [Fact]
    public async Task CompleteChat_Streaming_IsUnderstood()
    {
        await using var gateway = await StartAsync(Frames.Answer("Once", " upon", " é"));

        var text = "";
        ChatFinishReason? finish = null;
        ChatTokenUsage? usage = null;
        await foreach (var update in Chat(gateway).CompleteChatStreamingAsync([new UserChatMessage("hi")]))
        {
            text += string.Concat(update.ContentUpdate.Select(part => part.Text));
            finish ??= update.FinishReason;
            usage ??= update.Usage;
        }

        Assert.Equal("Once upon é", text);
        Assert.Equal(ChatFinishReason.Stop, finish);
        Assert.Equal(3, usage?.OutputTokenCount);
    }

    [Fact]
    public async Task CompleteChat_StreamingToolCall_IsUnderstood()
    {
        await using var gateway = await StartAsync(
            Frames.Start(),
            Frames.Delta(0, """{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":""}}]}"""),
            Frames.Delta(1, """{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}"""),
            Frames.Finish(2, reason: FinishReason.ToolCalls));

        var calls = new List<StreamingChatToolCallUpdate>();
        await foreach (var update in Chat(gateway).CompleteChatStreamingAsync([new UserChatMessage("hi")]))
            calls.AddRange(update.ToolCallUpdates);

        Assert.Equal("f", calls[0].FunctionName);
        Assert.Equal("{}", string.Concat(calls.Select(call => call.FunctionArgumentsUpdate?.ToString())));
    }

    [Fact]
    public async Task CompleteChat_ToolCallsWithTheFinish_AreUnderstoodStreamedAndWhole()
    {
        GenerateFrame[] answer =
        [
            Frames.Start(),
            Frames.Token(0, "Let me see."),
            Frames.Token(1, ""),
            Frames.ToolCalls(
                2,
                """{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},"""
                + """{"index":1,"id":"c2","type":"function","function":{"name":"g","arguments":"{}"}}]}"""),
        ];
        await using var gateway = await StartAsync(answer);

        var calls = new List<StreamingChatToolCallUpdate>();
        ChatFinishReason? streamedReason = null;
        await foreach (var update in Chat(gateway).CompleteChatStreamingAsync([new UserChatMessage("hi")]))
        {
            calls.AddRange(update.ToolCallUpdates);
            streamedReason ??= update.FinishReason;
        }

        ChatCompletion whole = await Chat(gateway).CompleteChatAsync([new UserChatMessage("hi")]);

        Assert.Equal([(0, "c1", "f", "{\"a\":1}"), (1, "c2", "g", "{}")], calls.Select(call => (call.Index, call.ToolCallId, call.FunctionName, call.FunctionArgumentsUpdate.ToString())));
        Assert.Equal([("c1", "f", "{\"a\":1}"), ("c2", "g", "{}")], whole.ToolCalls.Select(call => (call.Id, call.FunctionName, call.FunctionArguments.ToString())));
        Assert.Equal((ChatFinishReason.ToolCalls, ChatFinishReason.ToolCalls), (streamedReason, whole.FinishReason));
        Assert.Equal("Let me see.", whole.Content.Single().Text);
    }

    [Fact]
    public async Task CompleteChat_Logprobs_AreUnderstood()
    {
        await using var gateway = await StartAsync(Frames.Start(), Frames.Scored(0, "a", -0.5f, "b", -1), Frames.Finish(1));

        ChatCompletion answer = await Chat(gateway).CompleteChatAsync(
            [new UserChatMessage("hi")], new ChatCompletionOptions { IncludeLogProbabilities = true, TopLogProbabilityCount = 1 });

        var token = Assert.Single(answer.ContentTokenLogProbabilities);
        Assert.Equal(("a", -0.5f, "b"), (token.Token, token.LogProbability, token.TopLogProbabilities.Single().Token));
    }

    [Fact]
    public async Task CompleteChat_StreamLost_Throws()
    {
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            session.Push(Frames.Start(), Frames.Token(0, "Once"));
            session.Fail(Fault.StreamLost, "two replicas lost");
        });

        var text = "";
        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await foreach (var update in Chat(gateway).CompleteChatStreamingAsync([new UserChatMessage("hi")]))
                text += string.Concat(update.ContentUpdate.Select(part => part.Text));
        });

        Assert.Equal("Once", text);
    }

    [Fact]
    public async Task CompleteChat_Refused_ThrowsWithStatusAndMessage()
    {
        await using var gateway = await TestGateway.StartAsync(session => session.Fail(Fault.ModelNotFound, "no member ever offered 'tiny'"));

        var error = await Assert.ThrowsAsync<ClientResultException>(() => Chat(gateway).CompleteChatAsync([new UserChatMessage("hi")]));

        Assert.Equal(404, error.Status);
        Assert.Contains("no member ever offered 'tiny'", error.Message, StringComparison.Ordinal);
        Assert.Contains("model_not_found", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task GetModels_Catalog_IsUnderstood()
    {
        await using var gateway = await TestGateway.StartAsync();

        OpenAIModelCollection models = await Client(gateway).GetOpenAIModelClient().GetModelsAsync();

        Assert.Equal(["tiny", "org/big \"q\""], models.Select(model => model.Id));
        Assert.Equal(1_700_000_000, models[0].CreatedAt.ToUnixTimeSeconds());
    }

    private static Task<TestGateway> StartAsync(params GenerateFrame[] frames) => TestGateway.StartAsync(session =>
    {
        session.Push(frames);
        session.End();
    });

    private static ChatClient Chat(TestGateway gateway) => Client(gateway).GetChatClient("tiny");

    private static OpenAIClient Client(TestGateway gateway) => new(
        new ApiKeyCredential("none"),
        new OpenAIClientOptions { Endpoint = new Uri(gateway.Http1, "/v1"), RetryPolicy = new ClientRetryPolicy(maxRetries: 0) });
}
