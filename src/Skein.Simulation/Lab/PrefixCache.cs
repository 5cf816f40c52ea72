namespace Skein.Simulation.Lab;

/// <summary>A server's prefix cache: blocks of prompts, of which the least recently used give way.</summary>
internal sealed class PrefixCache(int capacity)
{
    private readonly Dictionary<int, LinkedListNode<int>> _nodes = [];
    private readonly LinkedList<int> _byUse = new();

    /// <summary>Number of leading blocks that are present.</summary>
    public int Find(IReadOnlyList<int> blocks)
    {
        var found = 0;
        while (found < blocks.Count && _nodes.ContainsKey(blocks[found]))
            found++;
        return found;
    }

    /// <summary>Adds the blocks of a prompt that was read. Later blocks are useless without earlier ones, so they give way first.</summary>
    public void Add(IReadOnlyList<int> blocks)
    {
        for (var i = blocks.Count - 1; i >= 0; i--)
        {
            if (_nodes.TryGetValue(blocks[i], out var node))
                _byUse.Remove(node);
            else
                node = new LinkedListNode<int>(blocks[i]);
            _byUse.AddLast(node);
            _nodes[blocks[i]] = node;
        }
        while (_nodes.Count > capacity)
        {
            _nodes.Remove(_byUse.First!.Value);
            _byUse.RemoveFirst();
        }
    }

    public void Clear()
    {
        _nodes.Clear();
        _byUse.Clear();
    }
}
