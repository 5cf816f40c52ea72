using Skein.Protocol.V1;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Support;

/// <summary>Two replicas; the stream begins on a, which drains at one index, and says no more at another.</summary>
internal sealed class HandOverRig : IDisposable
{
    /// <summary>Length of every answer.</summary>
    public const int Tokens = 12;

    private readonly TaskCompletionSource _cutReached = new();
    private readonly int _slotsElsewhere;

    public HandOverRig(int slotsElsewhere = 4, StreamingOptions? streaming = null)
    {
        _slotsElsewhere = slotsElsewhere;
        Gateway = new Gateway(new StaticFleet(A(draining: false), B), streaming: streaming);
        Gateway.Link.Script = DrainAtIndex;
        Gateway.Link.StandbyReady = _cutReached.Task;
    }

    public Gateway Gateway { get; }

    public int DrainAt { get; init; }

    public int CutAt { get; init; }

    public static AdmissionRequest OnlyB => new(
        "m", new Arrival(0, -1, 0), Displaced: false, WaitingSince: null, "", [new ReplicaId("a", 1)]);

    private ReplicaDescription B => Replica("b", slots: _slotsElsewhere, weight: 0.001);

    public Act DrainAtIndex(string replica, uint attempt, int at)
    {
        if (replica != "a")
            return Act.Answer;
        if (at == DrainAt)
            Gateway.Source.Set(A(draining: true), B);
        if (at != CutAt)
            return Act.Answer;
        _cutReached.TrySetResult();
        return at == Tokens ? Act.Answer : Act.Idle;
    }

    public void Undrain() => Gateway.Source.Set(A(draining: false), B);

    public Func<string, uint, int, Act> Paced(string replica, TimeSpan gap) => Paced((name, _) => name == replica ? gap : TimeSpan.Zero);

    /// <param name="gap">Time before a token of a replica, by its index.</param>
    public Func<string, uint, int, Act> Paced(Func<string, int, TimeSpan> gap)
    {
        _cutReached.TrySetResult();
        return (name, _, at) =>
        {
            if (at > 0 && gap(name, at) is var pause && pause > TimeSpan.Zero)
                Gateway.Time.Advance(pause);
            return Act.Answer;
        };
    }

    public async Task ReadWholeAsync(string replica, uint tokens, TimeSpan gap)
    {
        Gateway.Source.Set(A(draining: true), B);
        Gateway.Link.Script = Paced(replica, gap);
        await using var session = Gateway.Sessions.Start(Gateway.Request(tokens));
        await Received.AllAsync(session);
        Gateway.Source.Set(A(draining: false), B);
    }

    public async Task EverythingIsReleasedAsync(IGenerationSession session)
    {
        await session.DisposeAsync();
        Assert.Equal(0, Gateway.Admission.Leased);
        Assert.Equal(0, Gateway.Link.Running);
        Assert.Equal(0, Gateway.Statistics.JournalBytes);
    }

    public void Dispose() => Gateway.Dispose();

    private static ReplicaDescription A(bool draining) => Replica("a", weight: 1) with { Draining = draining, HandOver = draining };
}
