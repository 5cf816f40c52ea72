namespace Skein.Membership.Core;

/// <summary>
/// Rumours to pass on, indexed by member: newer news about a member takes the place of older, so that the queue never holds more than one
/// entry a member. Least sent first, oldest first among equals; an entry leaves after <c>limit</c> sends.
/// </summary>
internal sealed class UpdateQueue
{
    private readonly (UpdateNode? First, UpdateNode? Last)[] _bySends = new (UpdateNode?, UpdateNode?)[MaxSends];
    private int _stamp;

    public const int MaxSends = 128;

    public int Count { get; private set; }

    /// <summary>Puts news at the head of the line, its send count back to zero.</summary>
    public void Add(UpdateNode node, UpdateParts parts)
    {
        Remove(node);
        node.Parts |= parts;
        node.Sends = 0;
        Append(node);
    }

    public void Remove(UpdateNode node)
    {
        if (!node.IsQueued)
            return;
        ref var line = ref _bySends[node.Sends];
        (node.Previous is { } previous ? ref previous.Next : ref line.First) = node.Next;
        (node.Next is { } next ? ref next.Previous : ref line.Last) = node.Previous;
        (node.Previous, node.Next, node.IsQueued) = (null, null, false);
        Count--;
    }

    /// <summary>Begins a packet: each entry is offered to it once at the most.</summary>
    public Offer BeginPacket()
    {
        _stamp++;
        return new Offer(this);
    }

    private void Append(UpdateNode node)
    {
        ref var line = ref _bySends[node.Sends];
        (line.Last is { } last ? ref last.Next : ref line.First) = node;
        (node.Previous, line.Last, node.IsQueued) = (line.Last, node, true);
        Count++;
    }

    private void CountSend(UpdateNode node, int limit)
    {
        Remove(node);
        if (++node.Sends < Math.Min(limit, MaxSends))
            Append(node);
        else
            node.Parts = UpdateParts.None;
    }

    /// <summary>Walks over the queue for one packet.</summary>
    internal struct Offer(UpdateQueue queue)
    {
        private int _bucket;

        /// <summary>The next entry that this packet has not seen yet; null when there is none.</summary>
        public UpdateNode? Next()
        {
            for (; _bucket < MaxSends && queue.Count > 0; _bucket++)
            {
                for (var node = queue._bySends[_bucket].First; node is not null; node = node.Next)
                {
                    if (node.Stamp == queue._stamp)
                        continue;
                    node.Stamp = queue._stamp;
                    return node;
                }
            }
            return null;
        }

        public readonly void Sent(UpdateNode node, int limit) => queue.CountSend(node, limit);
    }
}

/// <summary>Which parts of a member's record are news.</summary>
[Flags]
internal enum UpdateParts
{
    None = 0,
    State = 1,
    Introduction = 2,
    Metadata = 4,
    All = State | Introduction | Metadata,
}

/// <summary>The place of one member in one queue; made when there first is news of it.</summary>
internal sealed class UpdateNode(MemberRecord member)
{
    public UpdateNode? Previous;
    public UpdateNode? Next;

    public MemberRecord Member { get; } = member;

    public bool IsQueued { get; set; }

    public UpdateParts Parts { get; set; }

    public int Sends { get; set; }

    public int Stamp { get; set; }
}
