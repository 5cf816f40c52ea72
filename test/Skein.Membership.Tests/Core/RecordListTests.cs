using Skein.Membership.Core;

namespace Skein.Membership.Tests.Core;

public sealed class RecordListTests
{
    private readonly SeededRandom _random = new(seed: 7);
    private readonly RecordList _list = new();
    private readonly List<MemberRecord> _known = [];

    [Fact]
    public void Find_AfterManyChanges_KnowsEveryRecordAndWhetherItIsLive()
    {
        for (var i = 0; i < 5000; i++)
        {
            Change(i);
            if (i % 1000 == 999)
                ForgetSomeGone();
        }

        Assert.Equal(_known.Where(static record => record.IsLive).OrderBy(static record => record.Id), _list.Live.OrderBy(static record => record.Id));
        Assert.Equal(_known.Where(static record => !record.IsLive).OrderBy(static record => record.Id), _list.Gone.OrderBy(static record => record.Id));
        Assert.All(_known, record => Assert.Same(record, _list.Find(record.Id)));
        Assert.Null(_list.Find(1));
    }

    [Fact]
    public void NextInRound_MembersComeAndGo_NoneHasTwoTurnsAndEachThatStaysHasOne()
    {
        for (var i = 0; i < 100; i++)
            Add($"early-{i}", MemberState.Alive);
        var turns = new List<MemberRecord>();
        for (var i = 0; i < 30; i++)
        {
            turns.Add(_list.NextInRound(_random)!);
            Add($"late-{i}", MemberState.Alive);
            SetState(_list.Live[_random.Next(_list.Live.Count)], MemberState.Dead);
        }
        while (_list.Live.Count(turns.Contains) < _list.Live.Count)
            turns.Add(_list.NextInRound(_random)!);

        Assert.Distinct(turns);
        Assert.Contains(_list.NextInRound(_random), turns);
    }

    private void Change(int step)
    {
        if (_known.Count == 0 || _random.Next(3) == 0)
        {
            Add($"m-{step}", _random.Next(4) == 0 ? MemberState.Dead : MemberState.Alive);
            return;
        }
        var record = _known[_random.Next(_known.Count)];
        SetState(record, record.IsLive ? MemberState.Left : MemberState.Alive);
        _list.NextInRound(_random);
    }

    private void ForgetSomeGone()
    {
        var count = _list.Gone.Count / 2;
        foreach (var forgotten in _list.Gone[..count].ToArray())
            _known.Remove(forgotten);
        _list.RemoveFirstGone(count);
    }

    private void Add(string name, MemberState state)
    {
        var record = new MemberRecord(new MemberFacts(name, Generation: 1, Address: default)) { State = state };
        _known.Add(record);
        _list.Add(record);
    }

    private void SetState(MemberRecord record, MemberState state)
    {
        record.State = state;
        _list.Move(record);
    }
}
