using System.ClientModel;
using System.Text;
using OpenAI;
using OpenAI.Chat;
using Skein.EndToEnd.Support;

namespace Skein.EndToEnd;

/// <summary>Third-party clients with the embedded model.</summary>
[Collection(EmbeddedCluster.Name)]
public class ClientTests(EmbeddedCluster shared)
{
    private static readonly Question Owl = new("Tell me a story about an owl.", MaxTokens: 24);

    /// <summary>An answer of ten seconds: long enough to check the rest while it is generated, on a busy machine too.</summary>
    private static readonly Question LongOwl = Owl with { MaxTokens = 400 };

    [Fact]
    public async Task Curl_StreamedChat_GetsRealTextPieceByPiece()
    {
        await shared.Cluster.WholeAsync();

        await using (var under = await HttpAnswerStream.AskAsync(shared.Cluster.Client, LongOwl))
        {
            await under.ReadPiecesAsync(2);
            await shared.Cluster.MemberAsync(under.Replica, row => row.InFlight == 1, "still makes the rest of an answer whose first pieces are here");
        }
        await using var stream = await HttpAnswerStream.AskAsync(shared.Cluster.Client, Owl);
        var answer = await stream.ReadToEndAsync();

        Assert.Equal("text/event-stream", stream.ContentType);
        Assert.Contains("owl", answer.Text, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(("length", 24), (answer.FinishReason, answer.CompletionTokens));
    }

    [Fact]
    public async Task OpenAiDotNet_StreamAndNot_GetTheSameAnswer()
    {
        await shared.Cluster.WholeAsync();
        var model = (await shared.Cluster.MembersAsync()).First(member => member.Role == "replica").Models.Single();
        var client = new ChatClient(model, new ApiKeyCredential("none"), new OpenAIClientOptions { Endpoint = new Uri(shared.Cluster.Http, "/v1") });
        ChatMessage[] messages = [new UserChatMessage(Owl.Text)];
        var options = new ChatCompletionOptions { Temperature = 0, MaxOutputTokenCount = Owl.MaxTokens };

        ChatCompletion whole = await client.CompleteChatAsync(messages, options);
        var streamed = new StringBuilder();
        ChatFinishReason? reason = null;
        var pieces = 0;
        await foreach (var update in client.CompleteChatStreamingAsync(messages, options))
        {
            streamed.AppendJoin("", update.ContentUpdate.Select(part => part.Text));
            pieces += update.ContentUpdate.Count;
            reason ??= update.FinishReason;
        }

        Assert.Equal((ChatFinishReason.Length, ChatFinishReason.Length), (whole.FinishReason, reason));
        Assert.Contains("owl", whole.Content.Single().Text, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(whole.Content.Single().Text, streamed.ToString());
        Assert.Equal(Owl.MaxTokens, whole.Usage.OutputTokenCount);
        Assert.True(pieces > 5, $"{pieces} pieces");
    }

    [Fact]
    public async Task OpenAiNpm_StreamAndNot_GetTheSameAnswer()
    {
        var script = await NpmClient.InstallAsync();
        await shared.Cluster.WholeAsync();

        var output = await NpmClient.RunAsync("node", [script, new Uri(shared.Cluster.Http, "/v1").ToString(), Owl.Text, $"{Owl.MaxTokens}"]);

        await using var stream = await HttpAnswerStream.AskAsync(shared.Cluster.Client, Owl);
        var expected = (await stream.ReadToEndAsync()).Text;
        var answers = NpmClient.Answers.Parse(output);
        Assert.Equal(new NpmClient.Answers(expected, "length", expected, "length"), answers);
    }
}
