namespace Skein.Membership.Core;

/// <summary>All members known to this one, itself included: live members, and tombstones of dead and left ones. Maintains the digest of the view.</summary>
internal sealed class MemberTable
{
    private readonly ProtocolOptions _options;
    private readonly RecordList _records = new();
    private readonly List<MemberRecord> _dead = [];
    private readonly MemberRecord[] _successor = new MemberRecord[1];
    private long _successorRevision = -1;
    private int _successors;

    public MemberTable(ProtocolOptions options, MemberRecord self)
    {
        (_options, Self) = (options, self);
        Count(self, 1);
    }

    /// <summary>Called for every record that was added (true) or changed. The simulator checks its invariants here.</summary>
    public Action<MemberRecord, bool>? Observer { get; set; }

    /// <summary>Increases with every change that snapshots show.</summary>
    public long Revision { get; private set; }

    public ulong Digest { get; private set; }

    public MemberRecord Self { get; }

    /// <summary>Other live members, unordered.</summary>
    public ArraySegment<MemberRecord> Live => _records.Live;

    public ArraySegment<MemberRecord> Gone => _records.Gone;

    public int LiveCount => Live.Count + 1;

    public IEnumerable<MemberRecord> All => Live.Concat(Gone).Prepend(Self);

    public bool IsFull => LiveCount >= _options.MaxMembers;

    /// <summary>The tombstones exceed their limit by an eighth: purge before the next housekeeping.</summary>
    public bool HasSurplus => Gone.Count > _options.MaxTombstones + _options.MaxTombstones / 8;

    public int Suspects { get; private set; }

    public MemberRecord? Find(ulong id) => id == Self.Id ? Self : _records.Find(id);

    public void Reserve(int others) => _records.Reserve(others);

    public void Add(MemberRecord record)
    {
        _records.Add(record);
        Count(record, 1);
        Observer?.Invoke(record, true);
    }

    /// <summary>Every change of a record goes through here, so that digest, counts and order stay correct. The argument avoids a closure.</summary>
    public void Change<T>(MemberRecord record, T argument, Action<MemberRecord, T> change)
    {
        var wasLive = record.IsLive;
        Count(record, -1);
        change(record, argument);
        Count(record, 1);
        if (record != Self && wasLive != record.IsLive)
            _records.Move(record);
        Observer?.Invoke(record, false);
    }

    /// <summary>Records a change that snapshots show and digests do not contain.</summary>
    public void Touch() => Revision++;

    public void PurgeTombstones(TimeSpan now)
    {
        var gone = Gone;
        if (gone.Count == 0)
            return;
        gone.AsSpan().Sort(static (a, b) => a.Details.StateSince.CompareTo(b.Details.StateSince));
        var surplus = gone.Count - _options.MaxTombstones;
        var purged = 0;
        while (purged < gone.Count && (purged < surplus || now - gone[purged].Details.StateSince > _options.TombstoneLifetime))
            purged++;
        _records.RemoveFirstGone(purged);
        if (purged > 0)
            Revision++;
    }

    /// <summary>The next live member in an order that is shuffled for each round. A member that joins takes part in the rest of the current round.</summary>
    public MemberRecord? NextInRound(SeededRandom random) => _records.NextInRound(random);

    /// <summary>Fills <paramref name="picked"/> with distinct random live members other than <paramref name="except"/>; returns their number.</summary>
    public int PickLive(SeededRandom random, Span<MemberRecord> picked, MemberRecord? except = null, bool onlyAlive = false)
    {
        var live = Live;
        var count = 0;
        var tries = picked.Length * 4 + 8;
        while (count < picked.Length && live.Count > 0 && tries-- > 0)
        {
            var candidate = live[random.Next(live.Count)];
            var fits = candidate != except && !(onlyAlive && candidate.State != MemberState.Alive);
            if (fits && !picked[..count].Contains(candidate))
                picked[count++] = candidate;
        }
        return count;
    }

    /// <summary>A random dead member. Its rank by age is log-uniform, so that tombstones of old restarts do not delay the healing of a partition.</summary>
    public MemberRecord? PickDead(SeededRandom random)
    {
        _dead.Clear();
        foreach (var record in Gone)
            if (record.State == MemberState.Dead)
                _dead.Add(record);
        if (_dead.Count == 0)
            return null;
        _dead.Sort(static (a, b) => b.Details.StateSince.CompareTo(a.Details.StateSince));
        var share = random.Next(int.MaxValue) / (double)int.MaxValue;
        return _dead[(int)Math.Pow(_dead.Count + 1, share) - 1];
    }

    /// <summary>The next live member on the ring. Linear in the group size after each change of the view.</summary>
    public MemberRecord? Successor()
    {
        if (_successorRevision != Revision)
        {
            _successors = PickSuccessors(_successor);
            _successorRevision = Revision;
        }
        return _successors > 0 ? _successor[0] : null;
    }

    /// <summary>Fills the span with the live members that follow this one on the ring of ids, which all members derive alike; returns their number.</summary>
    public int PickSuccessors(Span<MemberRecord> successors)
    {
        var count = 0;
        foreach (var candidate in Live)
        {
            var place = count;
            // The distance on the ring, wrap-around included, is an unsigned difference.
            while (place > 0 && candidate.Id - Self.Id < successors[place - 1].Id - Self.Id)
                place--;
            if (place == successors.Length)
                continue;
            count = Math.Min(count + 1, successors.Length);
            for (var j = count - 1; j > place; j--)
                successors[j] = successors[j - 1];
            successors[place] = candidate;
        }
        return count;
    }

    private void Count(MemberRecord record, int sign)
    {
        Digest ^= record.DigestPart;
        Suspects += record.State == MemberState.Suspect ? sign : 0;
        Revision++;
    }
}

/// <summary>
/// Records in one array with an open-addressing index by id: 15 bytes a member instead of 60 for a dictionary and three lists. The array has
/// three parts: live members that had their turn in this round, other live members, gone members. A record changes parts by a swap with the
/// record at the border.
/// </summary>
internal sealed class RecordList
{
    private MemberRecord[] _records = new MemberRecord[16];
    private int _hadTheirTurn;
    private int _live;
    private int _count;

    // Position + 1 of a record; 0 marks a free slot. Linear probing.
    private int[] _index = new int[32];

    public ArraySegment<MemberRecord> Live => new(_records, 0, _live);

    public ArraySegment<MemberRecord> Gone => new(_records, _live, _count - _live);

    public MemberRecord? Find(ulong id) => _index[Slot(id)] is > 0 and var position ? _records[position - 1] : null;

    public void Reserve(int count)
    {
        if (count <= _records.Length)
            return;
        Array.Resize(ref _records, count);
        // At most two thirds full, so that searches stay short.
        _index = new int[BitOperations.RoundUpToPowerOf2((uint)(count + count / 2))];
        BuildIndex();
    }

    public void Add(MemberRecord record)
    {
        if (_count == _records.Length)
            Reserve(_count + _count / 2);
        _records[_count++] = record;
        _index[Slot(record.Id)] = _count;
        if (record.IsLive)
            Swap(_count - 1, _live++);
    }

    public void Move(MemberRecord record)
    {
        var position = _index[Slot(record.Id)] - 1;
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

    /// <summary>One step of a Fisher-Yates shuffle.</summary>
    public MemberRecord? NextInRound(SeededRandom random)
    {
        if (_live == 0)
            return null;
        if (_hadTheirTurn == _live)
            _hadTheirTurn = 0;
        Swap(_hadTheirTurn, _hadTheirTurn + random.Next(_live - _hadTheirTurn));
        return _records[_hadTheirTurn++];
    }

    public void RemoveFirstGone(int count)
    {
        Array.Copy(_records, _live + count, _records, _live, _count - _live - count);
        Array.Clear(_records, _count - count, count);
        _count -= count;
        Array.Clear(_index);
        BuildIndex();
    }

    private void BuildIndex()
    {
        for (var i = 0; i < _count; i++)
            _index[Slot(_records[i].Id)] = i + 1;
    }

    private void Swap(int left, int right)
    {
        if (left == right)
            return;
        (var leftSlot, var rightSlot) = (Slot(_records[left].Id), Slot(_records[right].Id));
        (_records[left], _records[right]) = (_records[right], _records[left]);
        (_index[leftSlot], _index[rightSlot]) = (right + 1, left + 1);
    }

    /// <summary>The slot of that id, or the free slot where it belongs. Ids are hashes already.</summary>
    private int Slot(ulong id)
    {
        var mask = _index.Length - 1;
        var slot = (int)id & mask;
        while (_index[slot] is > 0 and var position && _records[position - 1].Id != id)
            slot = (slot + 1) & mask;
        return slot;
    }
}
