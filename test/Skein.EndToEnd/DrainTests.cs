using System.Text.Json.Nodes;
using Skein.EndToEnd.Support;

namespace Skein.EndToEnd;

/// <summary><c>skein drain</c> and <c>undrain</c> on a cluster with streams.</summary>
[Collection(SimulatedCluster.Name)]
public class DrainTests(SimulatedCluster shared)
{
    [Fact]
    public async Task Drain_WithAStream_ClientGetsAllOfIt_AndUndrainServesAgain()
    {
        await shared.Cluster.WholeAsync();
        var question = new Question("What goes on while I am emptied?", MaxTokens: 80);
        var undisturbed = await AskToEndAsync(question);

        await using var stream = await HttpAnswerStream.AskAsync(shared.Cluster.Client, question);
        var serving = stream.Replica;
        var drain = RunAsync("drain", serving, "--json");
        await shared.Cluster.MemberAsync(serving, row => row.Draining, "is draining");
        // Three times as many requests as the drained replica would get if it were not drained.
        foreach (var meanwhile in await Task.WhenAll(Enumerable.Range(0, 9).Select(_ => AskToEndAsync(question, not: serving))))
            Assert.Equal(undisturbed, meanwhile);
        Assert.Equal(undisturbed, await stream.ReadToEndAsync());

        var drained = await drain;
        Assert.Equal((0, ""), (drained.ExitCode, drained.Errors));
        var outcome = JsonNode.Parse(drained.Output)!;
        Assert.Equal((serving, "drained", 0), (outcome["name"]!.GetValue<string>(), outcome["outcome"]!.GetValue<string>(), outcome["inFlight"]!.GetValue<int>()));
        await shared.Cluster.MemberAsync(serving, row => row is { State: "alive", Draining: true, InFlight: 0 }, "stays in the group, idle");

        using (var ready = await shared.Cluster.Client.GetAsync("/readyz"))
            Assert.True(ready.IsSuccessStatusCode, "a drained replica took the gateway out of service");

        var again = await RunAsync("drain", serving);
        Assert.Equal((0, $"{serving} is already drained"), (again.ExitCode, again.Output));

        var undrained = await RunAsync("undrain", serving);
        Assert.Equal((0, $"{serving} accepts requests again"), (undrained.ExitCode, undrained.Output));
        await Until.FoundAsync(
            async () =>
            {
                await using var next = await HttpAnswerStream.AskAsync(shared.Cluster.Client, question with { MaxTokens = 1 });
                await next.ReadToEndAsync();
                return next.Replica == serving ? serving : null;
            },
            $"an answer of {serving}",
            context: shared.Cluster.Logs);
    }

    /// <summary>With a grace of 0 the gateway moves the stream at once, and another replica continues it.</summary>
    [Fact]
    public async Task Drain_WithoutGrace_MovesTheStreamToAnotherReplica()
    {
        await shared.Cluster.WholeAsync();
        var question = new Question("What goes on elsewhere?", MaxTokens: 400);
        var undisturbed = await AskToEndAsync(question);

        await using var stream = await HttpAnswerStream.AskAsync(shared.Cluster.Client, question);
        await stream.ReadPiecesAsync(5);
        var drained = await RunAsync("drain", stream.Replica, "--grace", "0s");
        var undrained = await RunAsync("undrain", stream.Replica);

        Assert.Equal((0, "", 0), (drained.ExitCode, drained.Errors, undrained.ExitCode));
        Assert.Equal(undisturbed, await stream.ReadToEndAsync());
        Assert.Matches($@"^failovers=1 attempts=2 \[token \d+: {stream.Replica} moved \(draining\)\]$", stream.Failovers);
    }

    [Fact]
    public async Task Drain_LongerThanItsTimeout_ExitsWith1AndSaysWhatBlocks()
    {
        await shared.Cluster.WholeAsync();
        await using var stream = await HttpAnswerStream.AskAsync(shared.Cluster.Client, new Question("A minute's worth", MaxTokens: 2400));
        var serving = stream.Replica;

        var end = await RunAsync("drain", serving, "--grace", "1h", "--timeout", "300ms");

        Assert.Equal(1, end.ExitCode);
        // The remaining time depends on when it was read, which can be seconds later on a busy machine.
        Assert.Matches(
            $"^skein: {serving} is not drained after 0.3 s: 1 stream runs, 3[56]\\d\\d s of grace left, \\d+ of \\d+ slots are free elsewhere; the drain continues, 'skein undrain {serving}' ends the drain$",
            Assert.Single(end.ErrorLines));
        Assert.Equal(0, (await RunAsync("undrain", serving)).ExitCode);
        await shared.Cluster.MemberAsync(serving, row => row is { Draining: false, InFlight: 1 }, "takes work again, and its stream goes on");
    }

    [Theory]
    [InlineData("gateway-1", "skein: gateway-1 is a gateway; allowed: a replica")]
    [InlineData("nobody", "skein: 'nobody' is not a member of the group; allowed: replica-1, replica-2, replica-3")]
    public async Task Drain_NoReplica_ExitsWith2AndOneLine(string name, string message)
    {
        await shared.Cluster.WholeAsync();
        foreach (var verb in new[] { "drain", "undrain" })
        {
            var end = await RunAsync(verb, name);
            Assert.Equal((2, message), (end.ExitCode, end.Errors));
        }
    }

    private Task<RunResult> RunAsync(params string[] arguments) => SkeinProcess.RunAsync([.. arguments, "--gateway", shared.Cluster.Http.ToString()]);

    private async Task<Answer> AskToEndAsync(Question question, string not = "")
    {
        await using var stream = await HttpAnswerStream.AskAsync(shared.Cluster.Client, question);
        Assert.NotEqual(not, stream.Replica);
        return await stream.ReadToEndAsync();
    }
}
