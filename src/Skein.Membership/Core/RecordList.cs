using System.Numerics;

namespace Skein.Membership.Core;

/// <summary>
/// Records in one array, found by id through a table of their positions: 15 bytes a member where a dictionary and three lists take 60. The
/// array has three parts, and a record goes from one to the next by being swapped with the one at the border: live members that had their
/// turn in this round, other live ones, gone ones.
/// </summary>
internal sealed class RecordList
{
    private MemberRecord[] _records = new MemberRecord[16];
    private int _hadTheirTurn;
    private int _live;
    private int _count;

    // Position + 1 of the record with that id, or of another one that was there first; 0 where there is none.
    private int[] _places = new int[32];

    public ArraySegment<MemberRecord> Live => new(_records, 0, _live);

    public ArraySegment<MemberRecord> Gone => new(_records, _live, _count - _live);

    public MemberRecord? Find(ulong id) => _places[Place(id)] is > 0 and var position ? _records[position - 1] : null;

    public void Reserve(int count)
    {
        if (count <= _records.Length)
            return;
        Array.Resize(ref _records, count);
        // At most two thirds are taken, so that a search is short.
        _places = new int[BitOperations.RoundUpToPowerOf2((uint)(count + count / 2))];
        FindPlaces();
    }

    public void Add(MemberRecord record)
    {
        if (_count == _records.Length)
            Reserve(_count + _count / 2);
        _records[_count++] = record;
        _places[Place(record.Id)] = _count;
        if (record.IsLive)
            Swap(_count - 1, _live++);
    }

    /// <summary>Puts a record that has come to life, or gone, among its like.</summary>
    public void Sort(MemberRecord record)
    {
        var position = _places[Place(record.Id)] - 1;
        if (record.IsLive)
        {
            Swap(position, _live++);
            return;
        }
        if (position < _hadTheirTurn)
        {
            Swap(position, --_hadTheirTurn);
            position = _hadTheirTurn;
        }
        Swap(position, --_live);
    }

    /// <summary>One step of a shuffle (Fisher and Yates) for each turn.</summary>
    public MemberRecord? NextInRound(SeededRandom random)
    {
        if (_live == 0)
            return null;
        if (_hadTheirTurn == _live)
            _hadTheirTurn = 0;
        Swap(_hadTheirTurn, _hadTheirTurn + random.Next(_live - _hadTheirTurn));
        return _records[_hadTheirTurn++];
    }

    /// <summary>Also after the order of the gone ones was changed.</summary>
    public void ForgetFirstGone(int count)
    {
        Array.Copy(_records, _live + count, _records, _live, _count - _live - count);
        Array.Clear(_records, _count - count, count);
        _count -= count;
        Array.Clear(_places);
        FindPlaces();
    }

    private void FindPlaces()
    {
        for (var i = 0; i < _count; i++)
            _places[Place(_records[i].Id)] = i + 1;
    }

    private void Swap(int left, int right)
    {
        if (left == right)
            return;
        (var leftPlace, var rightPlace) = (Place(_records[left].Id), Place(_records[right].Id));
        (_records[left], _records[right]) = (_records[right], _records[left]);
        (_places[leftPlace], _places[rightPlace]) = (right + 1, left + 1);
    }

    /// <summary>Where that id is, or would be: ids are hashes already, and who finds a place taken takes the next.</summary>
    private int Place(ulong id)
    {
        var mask = _places.Length - 1;
        var place = (int)id & mask;
        while (_places[place] is > 0 and var position && _records[position - 1].Id != id)
            place = (place + 1) & mask;
        return place;
    }
}
