using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text;
using Anthropic;
using Microsoft.Extensions.AI;
using Microsoft.SemanticKernel.ChatCompletion;
using Microsoft.SemanticKernel.Connectors.OpenAI;
using OpenAI;
using Skein.Conformance.Clients;
using Skein.Conformance.Engines;
using Skein.Conformance.Gateways;
using OpenAiChatMessage = OpenAI.Chat.ChatMessage;

namespace Skein.Conformance;

/// <summary>Clients of .NET: OpenAI's own, Microsoft.Extensions.AI, and Skein's.</summary>
public sealed class NuGetTests(ClientTable table, SdkGateway shared) : IClassFixture<SdkGateway>
{
    private const string Question = "conformance situation";
    private const string Own = "Skein.Client";

    private static readonly NuGetPackage OpenAi = NuGetPackage.Of("OpenAI (NuGet)", typeof(OpenAIClient));

    private static readonly Dictionary<string, (NuGetPackage Package, string Api, Func<string, IChatClient> Connect)> ChatClients = new(StringComparer.Ordinal)
    {
        ["Microsoft.Extensions.AI"] = (NuGetPackage.Of("Microsoft.Extensions.AI.OpenAI", typeof(OpenAIClientExtensions)), "chat",
            http => Connect(http).GetChatClient(ScriptedEngine.Model).AsIChatClient()),
        ["SemanticKernel"] = (NuGetPackage.Of("Microsoft.SemanticKernel.Connectors.OpenAI", typeof(OpenAIChatCompletionService)), "chat",
            http => new OpenAIChatCompletionService(ScriptedEngine.Model, Connect(http)).AsChatClient()),
        ["Anthropic"] = (NuGetPackage.Of("Anthropic (NuGet)", typeof(AnthropicClient)), "messages",
            http => new AnthropicClient { BaseUrl = http, ApiKey = "none", MaxRetries = 0 }.AsIChatClient(ScriptedEngine.Model, defaultMaxOutputTokens: 1000)),
        [Own] = (NuGetPackage.Of("Skein.Client", typeof(Client.SkeinChatClient)), "chat",
            http => new Client.SkeinChatClient(new Client.SkeinClientOptions { Endpoint = new Uri($"{http}/v1"), Model = ScriptedEngine.Model })),
    };

    public static TheoryData<string> ChatClientNames => [.. ChatClients.Keys];

    [Fact]
    public Task OpenAi_GetsTheAnswerWholeAndStreamed() => table.RunAsync(OpenAi, "chat", "plain", async () =>
    {
        var chat = Connect(shared.Http).GetChatClient(ScriptedEngine.Model);

        var whole = (await chat.CompleteChatAsync([OpenAiChatMessage.CreateUserMessage(Question)])).Value;
        var streamed = new StringBuilder();
        await foreach (var update in chat.CompleteChatStreamingAsync([OpenAiChatMessage.CreateUserMessage(Question)]))
            streamed.Append(string.Concat(update.ContentUpdate.Select(part => part.Text)));

        Assert.Equal((SdkScript.Story, 7), (whole.Content[0].Text, whole.Usage.OutputTokenCount));
        Assert.Equal(SdkScript.Story, streamed.ToString());
    });

    [Fact]
    public Task OpenAi_EmbedsTexts() => table.RunAsync(OpenAi, "chat", "embeddings", async () =>
    {
        var vectors = (await Connect(shared.Http).GetEmbeddingClient(ScriptedEngine.Model).GenerateEmbeddingsAsync(["one", "three"])).Value;

        Assert.Equal([[3, 0.5f], [5, 0.5f]], vectors.Select(vector => vector.ToFloats().ToArray()));
    });

    [Theory]
    [MemberData(nameof(ChatClientNames))]
    public Task ExtensionsAi_GetsTheAnswerWholeAndStreamed(string name) => RunAsync(name, "plain", async () =>
    {
        using var chat = ChatClients[name].Connect(shared.Http);

        var whole = await chat.GetResponseAsync(Question, cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal((SdkScript.Story, await ReadAsync(chat)), (whole.Text, SdkScript.Story));
        Assert.True(whole.FinishReason is null || whole.FinishReason == ChatFinishReason.Stop, $"the answer finished by {whole.FinishReason}");
    });

    [Theory]
    [MemberData(nameof(ChatClientNames))]
    public Task ExtensionsAi_RunsAToolInALoop(string name) => RunAsync(name, "tools", async () =>
    {
        using var chat = ChatClients[name].Connect(shared.Http).AsBuilder().UseFunctionInvocation().Build();
        var add = AIFunctionFactory.Create((double a, double b) => a + b, "add");

        var answer = await chat.GetResponseAsync(Question, new ChatOptions { Tools = [add] }, TestContext.Current.CancellationToken);

        Assert.EndsWith("It is 3.", answer.Text, StringComparison.Ordinal);
    });

    [Theory]
    [MemberData(nameof(ChatClientNames))]
    public Task ExtensionsAi_ServerDiesInMidAnswer_GetsTheWholeAnswer(string name) => RunAsync(name, "failover", async () =>
    {
        var text = await GatewayWithEngines.WhileServerDiesAsync(engines: 2, http => ReadAsync(name, http));

        Assert.Equal(SdkScript.Story, text);
    });

    /// <summary>The last server dies: no client may take the beginning for the whole answer.</summary>
    [Theory]
    [MemberData(nameof(ChatClientNames))]
    public Task ExtensionsAi_LastServerDiesInMidAnswer_Throws(string name) => RunAsync(name, "broken", async () =>
    {
        var error = await GatewayWithEngines.WhileServerDiesAsync(engines: 1, http => Assert.ThrowsAnyAsync<Exception>(() => ReadAsync(name, http)));

        if (name == Own)
            Assert.IsType<Client.AnswerTruncatedException>(error);
    });

    private static async Task<string> ReadAsync(string name, string http)
    {
        using var chat = ChatClients[name].Connect(http);
        return await ReadAsync(chat);
    }

    private static async Task<string> ReadAsync(IChatClient chat)
    {
        var text = new StringBuilder();
        await foreach (var update in chat.GetStreamingResponseAsync(Question, cancellationToken: TestContext.Current.CancellationToken))
            text.Append(update.Text);
        return text.ToString();
    }

    private Task RunAsync(string name, string situation, Func<Task> test)
    {
        Assert.SkipUnless(Form.IsLong || name == Own, Form.SkipMessage);
        return table.RunAsync(ChatClients[name].Package, ChatClients[name].Api, situation, test);
    }

    private static OpenAIClient Connect(string http) => new(
        new ApiKeyCredential("none"), new OpenAIClientOptions { Endpoint = new Uri($"{http}/v1"), RetryPolicy = new ClientRetryPolicy(0) });
}
