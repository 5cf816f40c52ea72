using Skein.Membership.Core;

namespace Skein.Membership.Tests.Core;

public sealed class UpdateQueueTests
{
    private readonly UpdateQueue _queue = new();

    [Fact]
    public void Next_AfterSends_OffersLeastSentFirst()
    {
        var old = Node("old");
        _queue.Add(old, UpdateParts.State);
        SendAll(limit: 5);
        var fresh = Node("fresh");
        _queue.Add(fresh, UpdateParts.State);

        Assert.Equal(["fresh", "old"], SendAll(limit: 5));
    }

    [Fact]
    public void Add_SameMemberAgain_SupersedesAndStartsOver()
    {
        var node = Node("a");
        _queue.Add(node, UpdateParts.Introduction);
        SendAll(limit: 5);
        _queue.Add(node, UpdateParts.State);

        Assert.Equal(1, _queue.Count);
        Assert.Equal(0, node.Sends);
        Assert.Equal(UpdateParts.Introduction | UpdateParts.State, node.Parts);
    }

    [Fact]
    public void Sent_LimitReached_ForgetsTheEntry()
    {
        _queue.Add(Node("a"), UpdateParts.State);

        Assert.Equal(["a"], SendAll(limit: 2));
        Assert.Equal(["a"], SendAll(limit: 2));
        Assert.Empty(SendAll(limit: 2));
        Assert.Equal(0, _queue.Count);
    }

    private List<string> SendAll(int limit)
    {
        var sent = new List<string>();
        _queue.BeginPacket();
        while (_queue.Next() is { } node)
        {
            sent.Add(node.Member.Name);
            _queue.Sent(node, limit);
        }
        return sent;
    }

    private static UpdateNode Node(string name) => new MemberRecord(new MemberFacts(name, Generation: 1, Address: default)).Update;
}
