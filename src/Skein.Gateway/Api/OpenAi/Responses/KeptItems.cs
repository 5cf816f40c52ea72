namespace Skein.Gateway.Api.OpenAi.Responses;

/// <summary>
/// Items of answers, in the memory of this gateway: several clients do not send them back but refer to them by id. The oldest are dropped. An id contains 128
/// random bits: only who got an answer can refer to it. Thread-safe.
/// </summary>
/// <param name="maxBytes">Most memory of all items; 0: nothing is kept.</param>
internal sealed class KeptItems(long maxBytes)
{
    /// <summary>Memory of an item beside its JSON, about.</summary>
    private const int OverheadBytes = 256;

    private readonly Lock _gate = new();
    private readonly Dictionary<string, byte[]> _items = new(StringComparer.Ordinal);
    private readonly Queue<string> _order = new();
    private long _bytes;

    public void Keep(string id, byte[] json)
    {
        if (json.Length + OverheadBytes > maxBytes)
            return;
        lock (_gate)
        {
            if (!_items.TryAdd(id, json))
                return;
            _order.Enqueue(id);
            _bytes += json.Length + OverheadBytes;
            while (_bytes > maxBytes && _order.TryDequeue(out var oldest) && _items.Remove(oldest, out var dropped))
                _bytes -= dropped.Length + OverheadBytes;
        }
    }

    /// <summary>The JSON of an item; null if it is not kept, or not any more.</summary>
    public byte[]? Find(string id)
    {
        lock (_gate)
            return _items.GetValueOrDefault(id);
    }
}
