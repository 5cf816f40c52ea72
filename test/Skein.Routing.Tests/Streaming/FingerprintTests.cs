using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;
using Skein.Routing.Tests.Support;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Streaming;

/// <summary>Replicas of one model's name that would not give the same answer: only a text may go on there, and only where the client takes it.</summary>
public sealed class FingerprintTests
{
    private const int Chunks = 12;

    public static TheoryData<int> EveryIndex => [.. Enumerable.Range(0, Chunks + 1)];

    [Theory]
    [MemberData(nameof(EveryIndex))]
    public async Task Lost_TextAndOtherFingerprintOnly_GoesOnThereFromItsText(int index)
    {
        using var gateway = Gateway(ResumeTier.Text, givesIds: false, Replica("a", fingerprint: "x"), Replica("b", weight: 0.001, fingerprint: "y"));
        gateway.Link.Script = LostAt(index, "a");

        await using var session = gateway.Sessions.Start(Request(FailoverPolicy.BestEffort));
        var received = Assert.Single(await Received.AllAsync(session));

        Assert.Equal(ScriptedLink.TextOf(7, Chunks), received.Text);
        Assert.Empty(received.Ids);
        Assert.Equal(1, received.Starts);
        // The first chunk's text comes with the second: until then nothing can be resumed, and the client has seen nothing.
        var from = index == 1 ? 0 : index;
        Assert.Equal([("a", 0), ("b", from)], gateway.Link.Attempts.Select(attempt => (attempt.Replica, attempt.ResumedAt)));
        Assert.Equal(0, gateway.Admission.Leased);
    }

    [Fact]
    public async Task Lost_TextAndItsOwnFingerprintIsFree_GoesOnUnderItThenUnderThatOfTheLastReplica()
    {
        using var gateway = Gateway(
            ResumeTier.Text, givesIds: false,
            Replica("a", weight: 1e6, fingerprint: "x"), Replica("other", weight: 1000, fingerprint: "y"), Replica("same", fingerprint: "x"));
        gateway.Link.Script = (replica, attempt, at) => at == attempt * 3 && attempt <= 3 ? Act.BreakConnection : Act.Answer;

        await using var session = gateway.Sessions.Start(Request(FailoverPolicy.BestEffort));
        var reading = Received.AllAsync(session);
        await gateway.UntilWaitingAsync();
        gateway.Source.Set(Replica("late", weight: 1000, fingerprint: "x"), Replica("last", fingerprint: "y"));
        var received = Assert.Single(await reading);

        Assert.Equal(ScriptedLink.TextOf(7, Chunks), received.Text);
        Assert.Equal(["a", "same", "other", "last"], gateway.Link.Attempts.Select(attempt => attempt.Replica));
    }

    [Theory]
    [InlineData(ResumeTier.Exact, true, FailoverPolicy.BestEffort)]
    [InlineData(ResumeTier.Tokens, true, FailoverPolicy.BestEffort)]
    [InlineData(ResumeTier.Text, true, FailoverPolicy.BestEffort)] // ids would have to be dropped, and the unit of the index with them
    [InlineData(ResumeTier.Text, false, FailoverPolicy.Exact)]
    [InlineData(ResumeTier.None, false, FailoverPolicy.BestEffort)]
    public async Task Lost_NotJustATextOrToBeExact_NeverGoesOnUnderAnotherFingerprint(ResumeTier tier, bool givesIds, FailoverPolicy policy)
    {
        using var gateway = Gateway(tier, givesIds, Replica("a", fingerprint: "x"), Replica("b", weight: 0.001, fingerprint: "y"));
        gateway.Link.Script = LostAt(5, "a");

        await using var session = gateway.Sessions.Start(Request(policy));
        var reading = Received.AllAsync(session);
        await gateway.UntilWaitingAsync();
        gateway.Time.Advance(TimeSpan.FromSeconds(31));

        var error = await Assert.ThrowsAsync<FaultException>(() => reading);
        Assert.Equal(Fault.StreamLost, error.Fault);
        Assert.Single(gateway.Link.Attempts);
    }

    [Theory]
    [InlineData(ResumeTier.Text, false, FailoverPolicy.BestEffort, true)]
    [InlineData(ResumeTier.Text, false, FailoverPolicy.Exact, false)]
    [InlineData(ResumeTier.Text, true, FailoverPolicy.BestEffort, false)]
    [InlineData(ResumeTier.Tokens, true, FailoverPolicy.BestEffort, false)]
    [InlineData(ResumeTier.Exact, true, FailoverPolicy.BestEffort, false)]
    public async Task Drain_OtherFingerprintOnly_TextIsHandedOverAndOthersFinish(ResumeTier tier, bool givesIds, FailoverPolicy policy, bool moves)
    {
        var a = Replica("a", fingerprint: "x");
        var b = Replica("b", weight: 0.001, fingerprint: "y");
        using var gateway = Gateway(tier, givesIds, a, b);
        gateway.Link.Script = (replica, _, at) =>
        {
            if (replica == "a" && at == 2)
                gateway.Source.Set(a with { Draining = true, HandOver = true }, b);
            // Sends heartbeats only, until the stream is moved. If it may not be moved, it finishes here.
            return replica == "a" && at == 6 && moves ? Act.Idle : Act.Answer;
        };

        await using var session = gateway.Sessions.Start(Request(policy));
        var received = Assert.Single(await Received.AllAsync(session));

        Assert.Equal(ScriptedLink.TextOf(7, Chunks), received.Text);
        Assert.Equal(moves ? ["a", "b"] : ["a"], gateway.Link.Attempts.Select(attempt => attempt.Replica));
        Assert.Equal(moves ? "b" : "a", session.Replica);
    }

    [Fact]
    public async Task Drain_BeforeTheFirstToken_IsNotHeldUnderAnotherFingerprint()
    {
        var a = Replica("a", fingerprint: "x");
        var b = Replica("b", weight: 0.001, fingerprint: "y");
        using var gateway = Gateway(ResumeTier.Exact, givesIds: true, a, b);
        gateway.Link.Script = (replica, _, at) =>
        {
            if (replica == "a" && at == -1)
                gateway.Source.Set(a with { Draining = true, HandOver = true }, b);
            return Act.Answer;
        };

        await using var session = gateway.Sessions.Start(Request(FailoverPolicy.BestEffort));
        await Received.AllAsync(session);

        Assert.Equal(["a"], gateway.Link.Attempts.Select(attempt => attempt.Replica));
    }

    private static Func<string, uint, int, Act> LostAt(int index, string replica) => (name, _, at) => name == replica && at == index ? Act.BreakConnection : Act.Answer;

    private static Gateway Gateway(ResumeTier tier, bool givesIds, params ReplicaDescription[] replicas)
    {
        var gateway = new Gateway(new StaticFleet(replicas));
        gateway.Link.Tier = tier;
        gateway.Link.GivesIds = givesIds;
        return gateway;
    }

    private static GenerateRequest Request(FailoverPolicy policy)
    {
        var request = Support.Gateway.Request(Chunks);
        request.Failover = policy;
        return request;
    }
}
