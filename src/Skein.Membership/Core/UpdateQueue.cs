namespace Skein.Membership.Core;

/// <summary>
/// Rumours to pass on, indexed by member: newer news about a member takes the place of older, so that the queue never holds more than one
/// entry a member. Least sent first, oldest first among equals; an entry leaves after <c>limit</c> sends.
/// </summary>
internal sealed class UpdateQueue
{
    private readonly LinkedList<UpdateNode>[] _bySends = new LinkedList<UpdateNode>[MaxSends];
    private int _stamp;

    public const int MaxSends = 128;

    public int Count { get; private set; }

    public UpdateQueue()
    {
        for (int i = 0; i < MaxSends; i++)
            _bySends[i] = new LinkedList<UpdateNode>();
    }

    /// <summary>Puts news at the head of the line, its send count back to zero.</summary>
    public void Add(UpdateNode node, UpdateParts parts)
    {
        Remove(node);
        node.Parts |= parts;
        node.Sends = 0;
        _bySends[0].AddLast(node.Link);
        Count++;
    }

    public void Remove(UpdateNode node)
    {
        if (node.Link.List is not { } list)
            return;
        list.Remove(node.Link);
        Count--;
    }

    /// <summary>Begins a packet: each entry is offered to it once at the most.</summary>
    public Offer BeginPacket()
    {
        _stamp++;
        return new Offer(this);
    }

    private void CountSend(UpdateNode node, int limit)
    {
        Remove(node);
        if (++node.Sends >= Math.Min(limit, MaxSends))
        {
            node.Parts = UpdateParts.None;
            return;
        }
        _bySends[node.Sends].AddLast(node.Link);
        Count++;
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
                for (LinkedListNode<UpdateNode>? link = queue._bySends[_bucket].First; link is not null; link = link.Next)
                {
                    if (link.Value.Stamp == queue._stamp)
                        continue;
                    link.Value.Stamp = queue._stamp;
                    return link.Value;
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

/// <summary>The place of one member in one queue; made once with the member's record.</summary>
internal sealed class UpdateNode
{
    public UpdateNode(MemberRecord member)
    {
        Member = member;
        Link = new LinkedListNode<UpdateNode>(this);
    }

    public MemberRecord Member { get; }

    public LinkedListNode<UpdateNode> Link { get; }

    public UpdateParts Parts { get; set; }

    public int Sends { get; set; }

    public int Stamp { get; set; }
}
