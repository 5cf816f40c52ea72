using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Skein.EndToEnd.Support;
using Skein.Gateway.Admin;

namespace Skein.EndToEnd;

/// <summary>How a client asks.</summary>
public enum Api
{
    Http,
    Grpc,
}

/// <summary>A replica is lost in mid-stream, by a signal to its process. The client sees no difference.</summary>
public abstract class FailoverTests(SharedCluster shared)
{
    private static readonly Question Greedy = new("Tell me a story about an owl.", MaxTokens: 60);
    private static readonly Question Seeded = Greedy with { Temperature = 0.8f, Seed = 7 };

    [Theory]
    [InlineData(Api.Http, false)]
    [InlineData(Api.Http, true)]
    [InlineData(Api.Grpc, false)]
    [InlineData(Api.Grpc, true)]
    public async Task Kill_ServingReplicaInMidStream_AnswerIsTheUndisturbedOne(Api api, bool isSeeded)
    {
        var question = isSeeded ? Seeded : Greedy;
        var undisturbed = await UndisturbedAsync(api, question);
        var handles = await shared.Cluster.HandlesAsync();

        await using var stream = await AskAsync(api, question);
        await stream.ReadPiecesAsync(10);
        var serving = handles[stream.Replica];
        serving.Send(Signal.Kill);
        var saved = await stream.ReadToEndAsync();

        Assert.Equal(undisturbed, saved);
        // On a busy machine the kernel may close a dead process's connections only after the gateway has noticed the silence.
        AssertLost(stream, "connection_lost|link_stall");
        await shared.Cluster.MemberAsync(stream.Replica, row => row.State == "alive" && row.Pid != serving.Pid, "is back after its restart", Until.StartTimeout);
    }

    /// <summary>An answer that is not streamed comes from the same session, as a whole, with all other members of its choices.</summary>
    [Theory]
    [InlineData("{}")]
    [InlineData("""{"n": 2, "seed": 5, "temperature": 0.9, "logprobs": true, "top_logprobs": 2}""")]
    [InlineData("""{"stop": ["@"]}""")]
    public async Task Kill_ServingReplicaOfAnAnswerThatIsNotStreamed_AnswerIsTheUndisturbedOne(string members)
    {
        await shared.Cluster.WholeAsync();
        var asked = (JsonObject)JsonNode.Parse(members)!;
        // A stop text late in the answer that begins and ends inside words.
        if (asked.ContainsKey("stop") && (await AskWholeAsync([])).Answer["choices"]![0]!["message"]!["content"]!.GetValue<string>() is var text)
            asked["stop"] = new JsonArray(text[^60..^42]);
        (var undisturbed, var choices) = await AskWholeAsync(asked);
        var handles = await shared.Cluster.HandlesAsync();

        await ServingAsync(static serving => serving.Length == 0, "nobody serves any more");
        var asking = AskWholeAsync(asked);
        MemberRow serving = (await ServingAsync(static serving => serving.Length > 0, "somebody serves"))[0];
        handles[serving.Name].Send(Signal.Kill);
        (var saved, var attempts) = await asking;

        Assert.True(attempts > choices, "nothing was lost by the kill");
        Assert.Equal(undisturbed["choices"]!.ToJsonString(), saved["choices"]!.ToJsonString());
        Assert.Equal(undisturbed["usage"]!.ToJsonString(), saved["usage"]!.ToJsonString());
        await shared.Cluster.MemberAsync(serving.Name, row => row.State == "alive" && row.Pid != serving.Pid, "is back after its restart", Until.StartTimeout);
    }

    [Theory]
    [InlineData(Api.Http)]
    [InlineData(Api.Grpc)]
    public async Task Freeze_ServingReplicaInMidStream_AnswerGoesOnWithinTheBoundOfTheLink(Api api)
    {
        var undisturbed = await UndisturbedAsync(api, Greedy);
        var handles = await shared.Cluster.HandlesAsync();

        await using var stream = await AskAsync(api, Greedy);
        await stream.ReadPiecesAsync(10);
        var serving = handles[stream.Replica];
        serving.Send(Signal.Freeze);
        try
        {
            var saved = await stream.ReadToEndAsync();

            Assert.Equal(undisturbed, saved);
            AssertLost(stream, "link_stall");
            // The timeout is 0.9 s for a silent link and 5 s for a silent engine. The bound between them leaves time for a busy machine.
            Assert.InRange(stream.LongestPause, TimeSpan.FromSeconds(0.5), TimeSpan.FromSeconds(4));
        }
        finally
        {
            serving.Send(Signal.Thaw);
        }
        await shared.Cluster.MemberAsync(stream.Replica, row => row.State == "alive" && row.Pid == serving.Pid, "is alive again, the same process");
    }

    private Task<MemberRow[]> ServingAsync(Func<MemberRow[], bool> isWanted, string what) => Until.FoundAsync(
        async () =>
        {
            MemberRow[] serving = [.. (await shared.Cluster.MembersAsync()).Where(static row => row is { Role: "replica", InFlight: > 0 })];
            return isWanted(serving) ? serving : null;
        },
        what,
        context: shared.Cluster.Logs);

    private async Task<(JsonNode Answer, int Attempts)> AskWholeAsync(JsonObject members)
    {
        var body = new JsonObject
        {
            ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = "Tell me a long story about an owl." }),
            ["max_tokens"] = 100,
            ["temperature"] = 0,
        };
        foreach ((var name, var value) in members)
            body[name] = value!.DeepClone();
        using var response = await shared.Cluster.Client.PostAsJsonAsync("/v1/chat/completions", body);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return (JsonNode.Parse(text)!, int.Parse(response.Headers.GetValues("x-skein-attempts").Single(), CultureInfo.InvariantCulture));
    }

    private async Task<Answer> UndisturbedAsync(Api api, Question question)
    {
        await shared.Cluster.WholeAsync();
        return await Undisturbed.AskAsync(() => AskAsync(api, question), shared.Cluster.Logs);
    }

    private async Task<IAnswerStream> AskAsync(Api api, Question question) => api == Api.Http
        ? await HttpAnswerStream.AskAsync(shared.Cluster.Client, question)
        : await GrpcAnswerStream.AskAsync(shared.Cluster.Grpc, question);

    private static void AssertLost(IAnswerStream stream, string reasons) =>
        Assert.Matches($@"^failovers=1 attempts=2 \[token \d+: {stream.Replica} lost \(({reasons})\)\]$", stream.Failovers);
}

[Collection(EmbeddedCluster.Name)]
public sealed class EmbeddedFailoverTests(EmbeddedCluster cluster) : FailoverTests(cluster);

[Collection(SimulatedCluster.Name)]
public sealed class SimulatedFailoverTests(SimulatedCluster cluster) : FailoverTests(cluster);
