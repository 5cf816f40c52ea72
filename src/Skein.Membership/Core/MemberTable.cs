namespace Skein.Membership.Core;

/// <summary>All members this one knows, itself included: live ones to talk to, gone ones to remember. Keeps the digest of the view.</summary>
internal sealed class MemberTable
{
    private readonly ProtocolOptions _options;
    private readonly RecordList _records = new();
    private readonly List<MemberRecord> _dead = [];
    private readonly MemberRecord[] _successor = new MemberRecord[1];
    private long _successorRevision = -1;
    private bool _hasSuccessor;

    public MemberTable(ProtocolOptions options, MemberRecord self)
    {
        (_options, Self) = (options, self);
        CountIn(self);
    }

    /// <summary>Told of every record that was added (true) or changed; for the simulator, which holds its invariants against it.</summary>
    public Action<MemberRecord, bool>? Observer { get; set; }

    /// <summary>Rises with every change that a snapshot shows.</summary>
    public long Revision { get; private set; }

    public ulong Digest { get; private set; }

    /// <summary>This member.</summary>
    public MemberRecord Self { get; }

    /// <summary>Live members other than this one, in no order.</summary>
    public ArraySegment<MemberRecord> Live => _records.Live;

    /// <summary>Dead and left members.</summary>
    public ArraySegment<MemberRecord> Gone => _records.Gone;

    /// <summary>Live members, this one included.</summary>
    public int LiveCount => Live.Count + 1;

    public IEnumerable<MemberRecord> All => Live.Concat(Gone).Prepend(Self);

    public bool IsFull => LiveCount >= _options.MaxMembers;

    /// <summary>More gone ones than are to be remembered, by so many that it is worth a look before the next one is due.</summary>
    public bool HasSurplus => Gone.Count > _options.MaxTombstones + _options.MaxTombstones / 8;

    /// <summary>Suspects now; many at once say that something wider is wrong than one member.</summary>
    public int Suspects { get; private set; }

    public MemberRecord? Find(ulong id) => id == Self.Id ? Self : _records.Find(id);

    /// <summary>Makes room for so many others at once.</summary>
    public void Reserve(int others) => _records.Reserve(others);

    public void Add(MemberRecord record)
    {
        _records.Add(record);
        CountIn(record);
        Observer?.Invoke(record, true);
    }

    /// <summary>Applies a change to a record and keeps lists, digest and revision right.</summary>
    public void Change(MemberRecord record, Action<MemberRecord> change) => Change(record, change, static (r, c) => c(r));

    /// <summary>The same without a closure.</summary>
    public void Change<T>(MemberRecord record, T argument, Action<MemberRecord, T> change)
    {
        var wasLive = record.IsLive;
        CountOut(record);
        change(record, argument);
        CountIn(record);
        if (record != Self && wasLive != record.IsLive)
            _records.Sort(record);
        Observer?.Invoke(record, false);
    }

    /// <summary>A change that snapshots show, but digests do not.</summary>
    public void Touch() => Revision++;

    /// <summary>Forgets what has been gone for too long, and the oldest where there are too many.</summary>
    public void ForgetGone(TimeSpan now)
    {
        var gone = Gone;
        if (gone.Count == 0)
            return;
        gone.AsSpan().Sort(static (a, b) => a.StateSince.CompareTo(b.StateSince));
        var surplus = gone.Count - _options.MaxTombstones;
        var forgotten = 0;
        while (forgotten < gone.Count && (forgotten < surplus || now - gone[forgotten].StateSince > _options.TombstoneLifetime))
            forgotten++;
        _records.ForgetFirstGone(forgotten);
        if (forgotten > 0)
            Revision++;
    }

    /// <summary>
    /// The next of all live members in an order that is random and new in each round; null where there is none. Whoever joins meanwhile takes
    /// part in what is left of the round.
    /// </summary>
    public MemberRecord? NextInRound(SeededRandom random) => _records.NextInRound(random);

    /// <summary>
    /// Fills <paramref name="picked"/> with distinct random live members other than <paramref name="except"/>; answers how many there were.
    /// </summary>
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

    /// <summary>
    /// A dead one to ask whether it is back, the lately dead more often (its rank by age is log-uniform): those are who a partition took, and
    /// they must not wait behind the tombstones of a year of restarts. Null where none is dead; who said goodbye does not come back.
    /// </summary>
    public MemberRecord? PickDead(SeededRandom random)
    {
        _dead.Clear();
        foreach (var record in Gone)
            if (record.State == MemberState.Dead)
                _dead.Add(record);
        if (_dead.Count == 0)
            return null;
        _dead.Sort(static (a, b) => b.StateSince.CompareTo(a.StateSince));
        var share = random.Next(int.MaxValue) / (double)int.MaxValue;
        return _dead[(int)Math.Pow(_dead.Count + 1, share) - 1];
    }

    /// <summary>The next live member on the ring; null where there is none. Costs a look at all of them after each change of the view.</summary>
    public MemberRecord? Successor()
    {
        if (_successorRevision != Revision)
        {
            _hasSuccessor = Ring.Successors(Live, Self.Id, _successor) > 0;
            _successorRevision = Revision;
        }
        return _hasSuccessor ? _successor[0] : null;
    }

    private void CountIn(MemberRecord record)
    {
        Digest ^= record.DigestPart;
        Suspects += record.State == MemberState.Suspect ? 1 : 0;
        Revision++;
    }

    private void CountOut(MemberRecord record)
    {
        Digest ^= record.DigestPart;
        Suspects -= record.State == MemberState.Suspect ? 1 : 0;
    }
}
