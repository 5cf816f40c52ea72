using Skein.Membership.Core;

namespace Skein.Membership.Tests.Core;

public sealed class MemberTableTests
{
    private readonly SeededRandom _random = new(seed: 3);
    private readonly MemberTable _table = new(ProtocolOptions.Lan, Record("self", MemberState.Alive, TimeSpan.Zero));

    /// <summary>Names that contain a pod name never return; members lost by a partition must not wait behind their tombstones.</summary>
    [Fact]
    public void PickDead_ThreeOfLateBehindManyOldTombstones_AreAskedOftenAndNobodyIsLeftOut()
    {
        const int Old = 500;
        for (var i = 0; i < Old; i++)
            _table.Add(Record($"old-{i}", MemberState.Dead, TimeSpan.FromMinutes(i)));
        for (var i = 0; i < 3; i++)
            _table.Add(Record($"late-{i}", MemberState.Dead, TimeSpan.FromHours(20)));

        var picks = new Dictionary<string, int>();
        const int Picks = 100_000;
        for (var i = 0; i < Picks; i++)
        {
            var name = _table.PickDead(_random)!.Name;
            picks[name] = picks.GetValueOrDefault(name) + 1;
        }

        Assert.Equal(Old + 3, picks.Count);
        Assert.All(Enumerable.Range(0, 3), i => Assert.True(picks[$"late-{i}"] > Picks / 25, $"late-{i} was picked {picks[$"late-{i}"]} times"));
    }

    [Fact]
    public void PickDead_OthersHaveSaidGoodbye_FindsTheDeadOneAtOnce()
    {
        for (var i = 0; i < 50; i++)
            _table.Add(Record($"left-{i}", MemberState.Left, TimeSpan.FromMinutes(i)));
        Assert.Null(_table.PickDead(_random));

        _table.Add(Record("dead", MemberState.Dead, TimeSpan.Zero));

        Assert.Equal("dead", _table.PickDead(_random)!.Name);
    }

    private static MemberRecord Record(string name, MemberState state, TimeSpan since)
    {
        var record = new MemberRecord(new MemberFacts(name, 1, default)) { State = state };
        record.EditDetails.StateSince = since;
        return record;
    }
}
