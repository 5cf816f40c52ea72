using Skein.Protocol;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;
using Skein.Routing.Tests.Support;

namespace Skein.Routing.Tests.Streaming;

public sealed class LossHistoryTests
{
    private static readonly ReplicaId A = new("a", 1);
    private static readonly ReplicaId B = new("b", 1);
    private static readonly ReplicaId C = new("c", 1);
    private readonly LossHistory _losses = new(new StreamingOptions());

    /// <summary>A server that sends one chunk and ends, always, makes progress each time.</summary>
    [Fact]
    public void Add_EveryAttemptMakesProgress_EndsAtTheBoundOnAttempts()
    {
        for (var i = 1; i < 8; i++)
            Assert.Null(Lose(i % 2 == 0 ? A : B, Fault.NoFinish, reached: i, at: i));

        Assert.Equal("all 8 attempts that a request may use were lost, the last one by no_finish", Lose(A, Fault.NoFinish, reached: 8, at: 8));
    }

    [Fact]
    public void Add_ConnectionsOfTwoReplicasBreakTogether_IsNoEvidenceButTheyDied()
    {
        Assert.Null(Lose(A, Fault.ConnectionLost, at: 0));
        Assert.Null(Lose(B, Fault.ConnectionLost, at: 0.8));

        Assert.True(_losses.IsSuspect);
        Assert.StartsWith("3 replicas in a row died on this request", Lose(C, Fault.ConnectionLost, at: 1), StringComparison.Ordinal);
    }

    [Fact]
    public void Add_ConnectionsBreakOneAfterTheOther_IsLackOfProgress()
    {
        Assert.Null(Lose(A, Fault.ConnectionLost, at: 0));

        Assert.StartsWith("2 attempts in a row were lost", Lose(B, Fault.ConnectionLost, at: 1), StringComparison.Ordinal);
    }

    [Fact]
    public void Add_LostBeforeTheStartFrame_IsNoEvidence()
    {
        for (var i = 0; i < 5; i++)
            Assert.Null(Lose(new ReplicaId($"r{i}", 1), Fault.LinkStall, at: 2 * i, started: false));
    }

    [Fact]
    public void Add_RefusedConnections_DoNotMakeTheRequestSuspect()
    {
        for (var i = 0; i < 5; i++)
            Assert.Null(Lose(new ReplicaId($"r{i}", 1), Fault.Unreachable, at: i, started: false));

        Assert.False(_losses.IsSuspect);
    }

    /// <summary>It had tokens between the deaths of its replicas: it did not cause them.</summary>
    [Fact]
    public void Progress_BetweenTwoDeaths_ClearsTheSuspicion()
    {
        Assert.Null(Lose(A, Fault.ConnectionLost, reached: 0, at: 0));
        Assert.Null(Lose(B, Fault.ConnectionLost, reached: 5, at: 9));
        Assert.Null(Lose(C, Fault.ConnectionLost, reached: 6, at: 20));

        Assert.False(_losses.IsSuspect);
    }

    [Fact]
    public void Add_TheSameServerErrorTwice_EndsTheRequest()
    {
        Assert.Null(_losses.Add(A, Losses.Answered(Fault.EngineFailed, 500), new LostAttempt(0, Started: false), TimeSpan.Zero));

        Assert.NotNull(_losses.Add(B, Losses.Answered(Fault.EngineFailed, 500), new LostAttempt(0, Started: false), TimeSpan.Zero));
        Assert.Equal(500, _losses.LastEnd!.Engine!.Status);
    }

    [Theory]
    [InlineData(null, 0.1)]
    [InlineData(0.05, 0.1)]
    [InlineData(1.5, 1.5)]
    [InlineData(7.0, 7.0)]
    public void AskAgainAt_BusyServer_IsWhenItAskedForButAfterThePause(double? retryAfter, double seconds)
    {
        var busy = Losses.Answered(Fault.EngineBusy, 429, retryAfter is { } after ? TimeSpan.FromSeconds(after) : null);
        Assert.Null(_losses.Add(A, busy, new LostAttempt(0, Started: false), TimeSpan.FromSeconds(10)));

        Assert.Equal(TimeSpan.FromSeconds(10 + seconds), _losses.AskAgainAt(reached: 0)[A]);
    }

    [Fact]
    public void AskAgainAt_LossesInARow_DoublesThePauseUpToTwoSeconds()
    {
        double[] pauses = [.. Enumerable.Range(0, 7).Select(i =>
        {
            Assert.Null(Lose(A, Fault.Unreachable, at: 0, started: false));
            return _losses.AskAgainAt(reached: 0)[A].TotalSeconds;
        })];

        Assert.Equal([0.1, 0.2, 0.4, 0.8, 1.6, 2, 2], pauses);
    }

    [Fact]
    public void AskAgainAt_KeyRefused_IsNever()
    {
        Assert.Null(_losses.Add(A, Losses.Answered(Fault.EngineKeyRefused, 401), new LostAttempt(0, Started: false), TimeSpan.Zero));

        Assert.Equal(TimeSpan.MaxValue, _losses.AskAgainAt(reached: 0)[A]);
    }

    private string? Lose(ReplicaId replica, Fault fault, double at, int reached = 0, bool started = true) =>
        _losses.Add(replica, new FaultException(fault, "lost by the test"), new LostAttempt(reached, started), TimeSpan.FromSeconds(at));
}
