namespace Skein.Membership.Core;

/// <summary>All members this one knows, itself included: live ones to talk to, gone ones to remember. Keeps the digest of the view.</summary>
internal sealed class MemberTable
{
    private readonly ProtocolOptions _options;
    private readonly Dictionary<ulong, MemberRecord> _byId = [];
    private readonly List<MemberRecord> _live = [];
    private readonly List<MemberRecord> _gone = [];

    public MemberTable(ProtocolOptions options, MemberRecord self)
    {
        (_options, Self) = (options, self);
        CountIn(self);
    }

    /// <summary>Told of every record that was added or changed; for the simulator, which holds its invariants against it.</summary>
    public Action<MemberRecord>? Observer { get; set; }

    /// <summary>Rises with every change that a snapshot shows.</summary>
    public long Revision { get; private set; }

    public ulong Digest { get; private set; }

    /// <summary>This member.</summary>
    public MemberRecord Self { get; }

    /// <summary>Live members other than this one, in no order.</summary>
    public IReadOnlyList<MemberRecord> Live => _live;

    /// <summary>Dead and left members.</summary>
    public IReadOnlyList<MemberRecord> Gone => _gone;

    /// <summary>Live members, this one included.</summary>
    public int LiveCount => _live.Count + 1;

    public IEnumerable<MemberRecord> All => _live.Concat(_gone).Prepend(Self);

    public bool IsFull => LiveCount >= _options.MaxMembers;

    /// <summary>More gone ones than are to be remembered, by so many that it is worth a look before the next one is due.</summary>
    public bool HasSurplus => _gone.Count > _options.MaxTombstones + _options.MaxTombstones / 8;

    /// <summary>Suspects now; many at once say that something wider is wrong than one member.</summary>
    public int Suspects { get; private set; }

    public MemberRecord? Find(ulong id) => id == Self.Id ? Self : _byId.GetValueOrDefault(id);

    public void Add(MemberRecord record)
    {
        _byId.Add(record.Id, record);
        Append(record.IsLive ? _live : _gone, record);
        CountIn(record);
        Observer?.Invoke(record);
    }

    /// <summary>Applies a change to a record and keeps lists, digest and revision right.</summary>
    public void Change(MemberRecord record, Action<MemberRecord> change) => Change(record, change, static (r, c) => c(r));

    /// <summary>The same without a closure.</summary>
    public void Change<T>(MemberRecord record, T argument, Action<MemberRecord, T> change)
    {
        bool wasLive = record.IsLive;
        CountOut(record);
        change(record, argument);
        CountIn(record);
        if (record != Self && wasLive != record.IsLive)
        {
            Take(wasLive ? _live : _gone, record);
            Append(record.IsLive ? _live : _gone, record);
        }
        Observer?.Invoke(record);
    }

    /// <summary>A change that snapshots show, but digests do not.</summary>
    public void Touch() => Revision++;

    /// <summary>Forgets what has been gone for too long, and the oldest where there are too many.</summary>
    public void ForgetGone(TimeSpan now)
    {
        _gone.Sort(static (a, b) => a.StateSince.CompareTo(b.StateSince));
        int surplus = _gone.Count - _options.MaxTombstones;
        int forgotten = 0;
        while (forgotten < _gone.Count && (forgotten < surplus || now - _gone[forgotten].StateSince > _options.TombstoneLifetime))
            _byId.Remove(_gone[forgotten++].Id);
        _gone.RemoveRange(0, forgotten);
        for (int i = 0; i < _gone.Count; i++)
            _gone[i].Slot = i;
        if (forgotten > 0)
            Revision++;
    }

    /// <summary>
    /// Fills <paramref name="picked"/> with distinct random live members other than <paramref name="except"/>; answers how many there were.
    /// </summary>
    public int PickLive(SeededRandom random, Span<MemberRecord> picked, MemberRecord? except = null, bool onlyAlive = false)
    {
        int count = 0;
        int tries = picked.Length * 4 + 8;
        while (count < picked.Length && _live.Count > 0 && tries-- > 0)
        {
            MemberRecord candidate = _live[random.Next(_live.Count)];
            bool fits = candidate != except && !(onlyAlive && candidate.State != MemberState.Alive);
            if (fits && !picked[..count].Contains(candidate))
                picked[count++] = candidate;
        }
        return count;
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

    private static void Append(List<MemberRecord> list, MemberRecord record)
    {
        record.Slot = list.Count;
        list.Add(record);
    }

    private static void Take(List<MemberRecord> list, MemberRecord record)
    {
        MemberRecord last = list[^1];
        list[record.Slot] = last;
        last.Slot = record.Slot;
        list.RemoveAt(list.Count - 1);
    }
}
