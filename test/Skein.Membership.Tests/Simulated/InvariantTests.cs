using Skein.Membership.Core;
using Skein.Simulation.Membership;

namespace Skein.Membership.Tests.Simulated;

/// <summary>The simulator detects violations of the invariants. Each test manipulates a view.</summary>
public sealed class InvariantTests
{
    private readonly MembershipWorld _world = new(seed: 5, ProtocolOptions.Lan);

    public InvariantTests() => _world.StartSettled(3);

    [Fact]
    public void Change_ToAnOlderState_IsReportedWithBoth()
    {
        Tamper(static record => record.State = MemberState.Dead);

        var problem = Tampered(static record => record.State = MemberState.Alive);

        Assert.StartsWith("m-0's view of m-1 went back from (1800000000000, 0, Dead) to (1800000000000, 0, Alive) (seed=5", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Change_ToAnIncarnationThatTheSubjectNeverHad_IsReported() =>
        Assert.Contains("m-0 sees m-1 at (1800000000000, 1, Alive), which no generation of it ever announced", Tampered(static record => record.Incarnation++), StringComparison.Ordinal);

    [Fact]
    public void Change_ToAGenerationThatNeverExisted_IsReported() => Assert.Contains(
        "which no generation of it ever announced",
        Tampered(static record => record.Facts = record.Facts with { Generation = record.Generation + 1 }), StringComparison.Ordinal);

    private string Tampered(Action<MemberRecord> change) => Assert.Throws<InvalidOperationException>(() => Tamper(change)).Message;

    private void Tamper(Action<MemberRecord> change)
    {
        var table = _world.Members[0].Core.Table;
        table.Change(table.Find(_world.Members[1].Id)!, change, static (record, apply) => apply(record));
    }
}
