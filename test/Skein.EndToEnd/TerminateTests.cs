using Skein.EndToEnd.Support;

namespace Skein.EndToEnd;

/// <summary>SIGTERM, as systemd and Kubernetes send it, during a stream. The members have no supervisor.</summary>
public class TerminateTests
{
    private static readonly Question Short = new("How does it end?", MaxTokens: 60);

    [Fact]
    public async Task Terminate_Replica_StreamIsWholeAndItLeaves()
    {
        SkipElsewhere();
        await using var cluster = await StartAsync();
        var undisturbed = await cluster.AskToEndAsync(Short);
        await using var stream = await HttpAnswerStream.AskAsync(cluster.Client, Short);
        await stream.ReadPiecesAsync(3);

        var serving = cluster.Replicas[stream.Replica];
        serving.Handle.Send(Signal.Terminate);

        Assert.Equal(undisturbed, await stream.ReadToEndAsync());
        Assert.Equal(0, (await serving.EndAsync()).ExitCode);
        await cluster.MemberAsync(stream.Replica, row => row.State == "left", "has said goodbye");
    }

    [Fact]
    public async Task Terminate_Gateway_StopsAcceptingFinishesAndExits0()
    {
        SkipElsewhere();
        await using var cluster = await StartAsync();
        var undisturbed = await cluster.AskToEndAsync(Short);
        await using var stream = await HttpAnswerStream.AskAsync(cluster.Client, Short);
        await stream.ReadPiecesAsync(3);

        cluster.Gateway.Handle.Send(Signal.Terminate);

        await Until.FoundAsync(() => IsRefusedAsync(cluster.Client.BaseAddress!), "a new client is refused");
        Assert.Equal(undisturbed, await stream.ReadToEndAsync());
        Assert.Equal(0, (await cluster.Gateway.EndAsync()).ExitCode);
    }

    /// <summary>The port was closed at once: clients of a load balancer that had not noticed were refused.</summary>
    [Fact]
    public async Task Terminate_Gateway_IsNotReadyAndServesUntilTheLameDuckTimeIsOver()
    {
        SkipElsewhere();
        await using var cluster = await StartAsync();

        cluster.Gateway.Handle.Send(Signal.Terminate);

        await Until.FoundAsync(
            async () => (await cluster.Client.GetAsync("/readyz")).StatusCode == System.Net.HttpStatusCode.ServiceUnavailable ? "not ready" : null, "/readyz is 503");
        using var newClient = new HttpClient { BaseAddress = cluster.Client.BaseAddress };
        Assert.Equal("alive", (await newClient.GetStringAsync("/livez")).Trim());
        Assert.Equal(4, (await cluster.AskToEndAsync(new Question("Still there?", MaxTokens: 4))).CompletionTokens);
        Assert.Equal(0, (await cluster.Gateway.EndAsync()).ExitCode);
    }

    // Two replicas: on a busy machine a single one may be suspected for a moment.
    private static Task<LooseCluster> StartAsync() => LooseCluster.StartAsync(["one", "two"], ["--tokens-per-second", "20"]);

    private static async Task<string?> IsRefusedAsync(Uri address)
    {
        using var newClient = new HttpClient { BaseAddress = address };
        try
        {
            await newClient.GetStringAsync("/livez");
            return null;
        }
        catch (HttpRequestException)
        {
            return "refused";
        }
    }

    private static void SkipElsewhere() => Assert.SkipUnless(OperatingSystem.IsLinux(), "needs Linux: signals, and processes as /proc tells them");
}
