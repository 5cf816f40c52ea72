using Skein.EndToEnd.Support;
using Skein.Gateway.Admin;

namespace Skein.EndToEnd;

/// <summary>More streams than slots, clients that disconnect, and more than one gateway.</summary>
[Collection(SimulatedCluster.Name)]
public class LoadTests(SimulatedCluster shared)
{
    [Fact]
    public async Task Ask_300AtOnceOver192Slots_AllEndExactAndTheSurplusWaits()
    {
        await shared.Cluster.WholeAsync();
        Question[] questions = [.. Enumerable.Range(0, 6).Select(i => new Question($"Question {i}", MaxTokens: 40, Temperature: i % 2, Seed: i))];
        var expected = await Task.WhenAll(questions.Select(AskToEndAsync));

        var answers = Task.WhenAll(Enumerable.Range(0, 300).Select(i => AskToEndAsync(questions[i % questions.Length])));
        await shared.Cluster.MemberAsync("gateway-1", row => row.Queued > 0 || answers.IsCompleted, "has a line");
        Assert.False(answers.IsCompleted, "all were answered before anybody was seen to wait");

        var received = await Until.DoneAsync(answers, "the end of 300 streams", TimeSpan.FromSeconds(90), shared.Cluster.Logs);
        for (var i = 0; i < received.Length; i++)
            Assert.Equal(expected[i % questions.Length], received[i]);
        await shared.Cluster.MemberAsync("gateway-1", row => row is { Queued: 0, InFlight: 0 }, "has an empty line and no stream");
    }

    [Fact]
    public async Task Disconnect_InMidStream_FreesTheSlotAndStopsTheEngine()
    {
        await shared.Cluster.WholeAsync();
        var stream = await HttpAnswerStream.AskAsync(shared.Cluster.Client, new Question("A minute's worth", MaxTokens: 2400));
        await stream.ReadPiecesAsync(3);
        var serving = stream.Replica;
        await shared.Cluster.MemberAsync(serving, row => row.InFlight == 1, "has one stream");

        await stream.DisposeAsync();

        // The replica's count falls once the engine has stopped. Without a disconnect the stream would run for a minute.
        await shared.Cluster.MemberAsync(serving, row => row.InFlight == 0, "has none");
    }

    [Fact]
    public async Task Ask_BothGateways_GiveTheSameAnswer()
    {
        var members = await shared.Cluster.WholeAsync();
        var question = new Question("Who is there?", MaxTokens: 20, Temperature: 1, Seed: 3);
        Uri[] gateways = [.. members.Where(member => member.Role == "gateway").Select(member => new Uri($"http://{member.Http}"))];
        Assert.Equal(2, gateways.Length);

        var answers = await Task.WhenAll(gateways.Select(async gateway =>
        {
            using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = gateway };
            await using var stream = await HttpAnswerStream.AskAsync(client, question);
            return await stream.ReadToEndAsync();
        }));

        Assert.Equal(answers[0], answers[1]);
    }

    private async Task<Answer> AskToEndAsync(Question question)
    {
        await using var stream = await HttpAnswerStream.AskAsync(shared.Cluster.Client, question);
        return await stream.ReadToEndAsync();
    }
}
