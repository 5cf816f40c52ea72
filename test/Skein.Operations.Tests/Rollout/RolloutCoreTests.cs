using Skein.Operations.Rollout;

namespace Skein.Operations.Tests.Rollout;

public class RolloutCoreTests
{
    private static readonly RolloutPlan Plan = new() { Revision = Fleet.New };

    [Fact]
    public void Update_ThreeReplicas_GoOneByOneThroughEveryGate()
    {
        var fleet = new Fleet("a", "b", "c").Begin();
        fleet.Update("a").Update("b").Update("c");

        Assert.Equal(["Drain a", "Restart a", "Probe a", "Drain b", "Restart b", "Probe b", "Drain c", "Restart c", "Probe c"], fleet.Orders);
        Assert.True(fleet.Core is { IsDone: true, IsFinished: true, StopReason: null });
    }

    [Fact]
    public void Update_MaxUnavailable2_TwoAtATimeAndNoThird()
    {
        var fleet = new Fleet("a", "b", "c", "d").Begin(Plan with { MaxUnavailable = 2 });
        Assert.Equal(["Drain a", "Drain b"], fleet.Orders);

        fleet.Drained("b").Back("b").Probed("b").Look(5);
        Assert.Equal(["Drain a", "Drain b", "Restart b", "Probe b"], fleet.Orders);

        fleet.WithoutErrors();
        Assert.Equal("Drain c", fleet.Orders[^1]);
    }

    [Fact]
    public void Begin_SomeAreThere_AreSkipped()
    {
        var fleet = new Fleet("b").Add("a", revision: Fleet.New).Begin();

        Assert.Equal(RolloutStage.Skipped, fleet["a"].Stage);
        Assert.Equal(["Drain b"], fleet.Orders);
    }

    [Fact]
    public void Begin_AllAreThere_IsDoneAtOnce()
    {
        var fleet = new Fleet().Add("a", revision: Fleet.New).Begin();

        Assert.True(fleet.Core is { IsDone: true, IsFinished: true });
        Assert.Empty(fleet.Orders);
    }

    [Fact]
    public void Begin_ADeadOne_IsRestartedFirstWithoutADrain()
    {
        var fleet = new Fleet("a", "b").Add("c", state: "dead").Begin();

        Assert.Equal(["Restart c"], fleet.Orders);
    }

    [Fact]
    public void Begin_ADeadOneLeftOut_IsNotTouchedAndNotCounted()
    {
        var fleet = new Fleet("a", "b").Add("c", state: "dead").Begin(Plan with { IgnoreDead = true });

        Assert.Equal(["Drain a"], fleet.Orders);
        Assert.DoesNotContain(fleet.Core.Steps, step => step.Name == "c");
    }

    [Fact]
    public void Begin_ADrainedOne_GoesFirst() => Assert.Equal(["Drain c"], new Fleet("a", "b").Add("c", draining: true).Begin().Orders);

    [Fact]
    public void MinAvailable_AnotherIsLostWhileDraining_UndrainsAndStops()
    {
        var fleet = new Fleet("a", "b", "c").Begin().Update("a");
        fleet.Orders.Clear();
        fleet.Set("b", row => row with { Draining = true });
        fleet.Set("c", row => row with { State = "dead" });
        fleet.Look();

        Assert.Equal(["Undrain b"], fleet.Orders);
        Assert.True(fleet.Core.IsFinished);
        Assert.Equal("another replica was lost while b drained: m would have 1 ready replicas, the minimum is 2 (b is draining, c is dead)", fleet.Core.StopReason);
    }

    [Fact]
    public void MinAvailable_TooFewFromTheBeginning_StopsAfterTheTimeout()
    {
        // c is drained by somebody and at the revision: nothing will bring it back.
        var fleet = new Fleet("a", "b").Add("c", revision: Fleet.New, draining: true).Begin();
        Assert.Empty(fleet.Orders);
        fleet.Look(14.9);
        Assert.False(fleet.Core.IsFinished);

        fleet.Look(0.2);

        Assert.True(fleet.Core.IsFinished);
        Assert.Equal("too few replicas would be available: m would have 1 ready replicas, the minimum is 2 (c is draining)", fleet.Core.StopReason);
        Assert.Empty(fleet.Orders);
    }

    [Fact]
    public void MinAvailable_MissingOneComesBackInTime_Continues()
    {
        var fleet = new Fleet("a", "b").Add("c", revision: Fleet.New, draining: true).Begin().Look(10);

        fleet.Set("c", row => row with { Draining = false });

        Assert.Equal(["Drain a"], fleet.Look(1).Orders);
    }

    [Fact]
    public void MinAvailable_IsPerModel_AnotherModelsReplicaMayGo()
    {
        var fleet = new Fleet().Add("a", "x").Add("b", "x", Fleet.New, draining: true).Add("c", "y").Begin();

        Assert.Equal(["Drain c"], fleet.Orders);
    }

    [Fact]
    public void MinAvailable_SuspicionWhileDraining_IsNoLoss()
    {
        var fleet = new Fleet("a", "b", "c").Begin();
        fleet.Set("c", row => row with { State = "suspect" });

        Assert.Equal(["Drain a"], fleet.Look().Orders);
    }

    [Fact]
    public void NotDrained_IsTakenBackAndStops()
    {
        var fleet = new Fleet("a", "b").Begin().Tell((core, now) => core.Executed(RolloutOrder.Drain, "a", "3 streams run", now));

        Assert.Equal(["Drain a", "Undrain a"], fleet.Orders);
        Assert.True(fleet.Core.IsFinished);
        Assert.Equal("a could not be drained: 3 streams run", fleet.Core.StopReason);
    }

    [Theory]
    [InlineData(false, "Undrain a")]
    [InlineData(true, "RollBack a")]
    public void NotRestarted_OldLifeGoesBackToWork(bool rollsBack, string order)
    {
        var fleet = new Fleet("a", "b").Begin(Plan with { RollsBack = rollsBack }).Drained("a").Tell((core, now) => core.Executed(RolloutOrder.Restart, "a", "'ssh' ended with code 255", now));

        Assert.Equal(["Drain a", "Restart a", order], fleet.Orders);
        Assert.Equal("a: 'ssh' ended with code 255", fleet.Core.StopReason);
    }

    [Fact]
    public void Rejoin_NextLifeBeforeTheCommandEnds_WaitsForBoth()
    {
        var fleet = new Fleet("a").Begin().Drained("a");
        fleet.Set("a", row => row with { Generation = 2, Revision = Fleet.New, Draining = false });
        fleet.Look(1);
        Assert.Equal(["Drain a", "Restart a"], fleet.Orders);

        Assert.Equal("Probe a", fleet.Tell((core, now) => core.Executed(RolloutOrder.Restart, "a", null, now)).Orders[^1]);
    }

    [Fact]
    public void Rejoin_OldLifeAtTheOldRevision_IsNotBack()
    {
        var fleet = new Fleet("a").Begin().Drained("a").Tell((core, now) => core.Executed(RolloutOrder.Restart, "a", null, now));
        fleet.Set("a", row => row with { Revision = Fleet.New, Draining = false });

        Assert.Equal(RolloutStage.Rejoining, fleet.Look(60)["a"].Stage);
    }

    [Fact]
    public void Rejoin_WrongRevision_FailsAfterItsTimeout()
    {
        var fleet = new Fleet("a", "b").Begin().Drained("a").Back("a", revision: "r0");
        Assert.Equal(RolloutStage.Rejoining, fleet.Look(14)["a"].Stage);

        fleet.Look(1);

        Assert.Equal("a: it came back at revision 'r0', not 'r2'", fleet.Core.StopReason);
        Assert.DoesNotContain("Drain b", fleet.Orders);
    }

    [Fact]
    public void Rejoin_NeverBack_FailsAtTheTimeout()
    {
        var fleet = new Fleet("a").Begin(Plan with { Timeout = TimeSpan.FromMinutes(1) }).Drained("a").Tell((core, now) => core.Executed(RolloutOrder.Restart, "a", null, now));
        fleet.Set("a", row => row with { State = "left" });
        Assert.False(fleet.Look(59).Core.IsFinished);

        Assert.Equal("a: it was not back within 60 s: not back yet", fleet.Look(1).Core.StopReason);
    }

    [Fact]
    public void NotProbed_RollsBackAndStops()
    {
        var fleet = new Fleet("a", "b").Begin(Plan with { RollsBack = true }).Drained("a").Back("a").Tell((core, now) => core.Executed(RolloutOrder.Probe, "a", "no kernel", now));
        Assert.Equal("RollBack a", fleet.Orders[^1]);
        Assert.False(fleet.Core.IsFinished);

        fleet.Tell((core, now) => core.Executed(RolloutOrder.RollBack, "a", null, now));

        Assert.True(fleet.Core.IsFinished);
        Assert.Equal((RolloutStage.RolledBack, "a canary failed: no kernel"), (fleet["a"].Stage, fleet["a"].Detail));
        Assert.Equal(RolloutStage.Waiting, fleet["b"].Stage);
    }

    [Fact]
    public void RolledBack_RollbackFailed_SaysSo()
    {
        var fleet = new Fleet("a").Begin(Plan with { RollsBack = true }).Drained("a").Back("a").Tell((core, now) => core.Executed(RolloutOrder.Probe, "a", "no kernel", now))
            .Tell((core, now) => core.Executed(RolloutOrder.RollBack, "a", "exit 1", now));

        Assert.Equal((RolloutStage.Failed, "a canary failed: no kernel; the rollback failed: exit 1"), (fleet["a"].Stage, fleet["a"].Detail));
    }

    [Theory]
    [InlineData("dead", 2UL, "a: it did not stay up: it is dead")]
    [InlineData("alive", 3UL, "a: it did not stay up: it restarted")]
    public void WatchErrors_NewGenerationEnds_Fails(string state, ulong generation, string reason)
    {
        var fleet = new Fleet("a", "b").Begin().Drained("a").Back("a").Probed("a");
        fleet.Set("a", row => row with { State = state, Generation = generation });

        Assert.Equal(reason, fleet.Look(1).Core.StopReason);
    }

    [Fact]
    public void ProbePassed_ErrorPeriodOf0_NeedsNoCounters()
    {
        var fleet = new Fleet("a").Begin(Plan with { ErrorPeriod = TimeSpan.Zero }).Drained("a").Back("a").Probed("a");

        Assert.False(fleet.Core.WantsCounters);
        Assert.True(fleet.Core.IsDone);
    }

    [Fact]
    public void WatchErrors_ErrorsWithoutEnd_Fails()
    {
        var fleet = new Fleet("a", "b").Begin().Drained("a").Back("a").Probed("a");

        fleet.Count(60, second => new(100 * second, 5 * second, 0));

        Assert.Equal("a: the error rate did not stay low: 5 errors in 100 requests", fleet.Core.StopReason);
        Assert.DoesNotContain("Drain b", fleet.Orders);
    }

    [Fact]
    public void StopNow_DrainingGoesBackToWork_RestartedIsSeenThrough()
    {
        var fleet = new Fleet("a", "b", "c").Begin(Plan with { MaxUnavailable = 2 }).Drained("a");

        fleet.Tell((core, now) => core.StopNow("stopped by the operator", now));
        Assert.Equal(["Drain a", "Drain b", "Restart a", "Undrain b"], fleet.Orders);
        Assert.False(fleet.Core.IsFinished);

        fleet.Back("a").Probed("a").WithoutErrors();
        Assert.True(fleet.Core is { IsFinished: true, IsDone: false });
        Assert.Equal((RolloutStage.Updated, RolloutStage.Waiting), (fleet["a"].Stage, fleet["b"].Stage));
    }
}
