using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text;
using Microsoft.Extensions.AI;
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

    private static readonly NuGetPackage OpenAi = NuGetPackage.Of("OpenAI (NuGet)", typeof(OpenAIClient));
    private static readonly NuGetPackage Meai = NuGetPackage.Of("Microsoft.Extensions.AI.OpenAI", typeof(OpenAIClientExtensions));
    private static readonly NuGetPackage Own = NuGetPackage.Of("Skein.Client", typeof(Client.SkeinChatClient));

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

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public Task ExtensionsAi_RunsAToolInALoop(bool isOwn) => table.RunAsync(isOwn ? Own : Meai, "chat", "tools", async () =>
    {
        using var chat = ConnectChat(shared.Http, isOwn).AsBuilder().UseFunctionInvocation().Build();
        var add = AIFunctionFactory.Create((double a, double b) => a + b, "add");

        var answer = await chat.GetResponseAsync(Question, new ChatOptions { Tools = [add] }, TestContext.Current.CancellationToken);

        Assert.EndsWith("It is 3.", answer.Text, StringComparison.Ordinal);
    });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public Task ExtensionsAi_ServerDiesInMidAnswer_GetsTheWholeAnswer(bool isOwn) => table.RunAsync(isOwn ? Own : Meai, "chat", "failover", async () =>
    {
        var trap = DeathTrap.At(SdkScript.PieceOfDeath);
        await using var setting = await GatewayWithEngines.StartAsync(SdkScript.Answer, engines: 2, trap);
        using var chat = ConnectChat(setting.Http, isOwn);

        var reading = ReadAsync(chat);
        await setting.WhenStreamingAsync();
        await trap.EndCaughtAsync();

        Assert.Equal(SdkScript.Story, await reading);
    });

    /// <summary>The last server dies: no client may take the beginning for the whole answer.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public Task ExtensionsAi_LastServerDiesInMidAnswer_Throws(bool isOwn) => table.RunAsync(isOwn ? Own : Meai, "chat", "broken", async () =>
    {
        var trap = DeathTrap.At(SdkScript.PieceOfDeath);
        await using var setting = await GatewayWithEngines.StartAsync(SdkScript.Answer, engines: 1, trap);
        using var chat = ConnectChat(setting.Http, isOwn);

        var reading = ReadAsync(chat);
        await setting.WhenStreamingAsync();
        await trap.EndCaughtAsync();

        var error = await Assert.ThrowsAnyAsync<Exception>(() => reading);
        if (isOwn)
            Assert.IsType<Client.AnswerTruncatedException>(error);
    });

    private static async Task<string> ReadAsync(IChatClient chat)
    {
        var text = new StringBuilder();
        await foreach (var update in chat.GetStreamingResponseAsync(Question, cancellationToken: TestContext.Current.CancellationToken))
            text.Append(update.Text);
        return text.ToString();
    }

    private static IChatClient ConnectChat(string http, bool isOwn) => isOwn
        ? new Client.SkeinChatClient(new Client.SkeinClientOptions { Endpoint = new Uri($"{http}/v1"), Model = ScriptedEngine.Model })
        : Connect(http).GetChatClient(ScriptedEngine.Model).AsIChatClient();

    private static OpenAIClient Connect(string http) => new(
        new ApiKeyCredential("none"), new OpenAIClientOptions { Endpoint = new Uri($"{http}/v1"), RetryPolicy = new ClientRetryPolicy(0) });
}
