using Microsoft.Extensions.Time.Testing;
using Skein.Engines.Simulated;
using Skein.Gateway.Links;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;
using Skein.Serving;

namespace Skein.Gateway.Tests.Links;

public abstract class ContinueTests(LinkKind kind)
{
    [Fact]
    public async Task ContinueAsync_StandbyAttempt_GoesOn()
    {
        await using var world = await StartAsync(new FakeTimeProvider());
        await using var attempt = world.Read(Standby());
        Assert.NotNull((await attempt.NextAsync()).Start);

        await world.Link.ContinueAsync(world.Replica, Continued(), world.Token);

        var rest = await attempt.RestAsync();
        Assert.Equal(5, rest.Sum(frame => (int)frame.Count));
        Assert.NotNull(rest[^1].Finish);
    }

    [Fact]
    public async Task ContinueAsync_NothingHeld_IsAResumeRefused()
    {
        await using var world = await StartAsync(new FakeTimeProvider());

        var failure = await Assert.ThrowsAsync<FaultException>(() => world.Link.ContinueAsync(world.Replica, Continued(), world.Token));

        Assert.Equal((Fault.StandbyNotFound, "no standby attempt of session 's', choice 0, attempt 2 exists here"), (failure.Fault, failure.Message));
    }

    /// <summary>With the status DEADLINE_EXCEEDED it was classified as a broken connection.</summary>
    [Fact]
    public async Task GenerateAsync_StandbyTooLong_Expires()
    {
        var time = new FakeTimeProvider();
        await using var world = await StartAsync(time);
        var held = Assert.ThrowsAsync<FaultException>(world.Read(Standby()).RestAsync);
        while (!held.IsCompleted)
        {
            time.Advance(TimeSpan.FromMilliseconds(125));
            await world.Link.ProbeAsync(world.Replica, world.Token);
        }

        Assert.Equal(Fault.StandbyExpired, (await held).Fault);
        Assert.Equal(0u, world.Control.Report().Running);
    }

    private static GenerateRequest Standby() => new() { Text = "Tell me.", MaxTokens = 5, Session = "s", Attempt = 2, Hold = true };

    private static ContinueRequest Continued() => new() { Session = "s", Attempt = 2 };

    private Task<LinkWorld> StartAsync(TimeProvider time) => LinkWorld.StartAsync(
        kind, SimulatedEngineFactory.Create(new SimulatedEngineOptions(), TimeProvider.System), new EngineHostOptions(), time);
}

public sealed class BusContinueTests() : ContinueTests(LinkKind.Bus);

public sealed class CallContinueTests() : ContinueTests(LinkKind.Call)
{
    [Fact]
    public async Task ContinueAsync_ReplicaGone_IsUnreachable()
    {
        await using var world = await BusWorld.StartAsync(new KeyedEngine(), isCallPerAttempt: true);
        await world.App.AbortAsync();

        var failure = await Assert.ThrowsAsync<FaultException>(
            () => world.Link.ContinueAsync(world.Replica, new ContinueRequest { Session = "s", Attempt = 2 }, world.Token));

        Assert.Equal(Fault.Unreachable, failure.Fault);
    }
}

public sealed class InProcessContinueTests() : ContinueTests(LinkKind.InProcess);
