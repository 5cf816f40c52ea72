using System.Collections.Concurrent;

namespace Skein.Engines.Embedded.Model;

/// <summary>Keys and values of one stream's tokens, in pages of <see cref="PageTokens"/> that are rented when needed and returned at the end.</summary>
/// <remarks>
/// Per page and layer: the keys transposed (a row per element, so that the scores of neighbouring tokens are computed side by side), then the
/// values (a row per token). Not safe for concurrent use.
/// </remarks>
internal sealed class KvCache(KvPagePool pool) : IDisposable
{
    public const int PageTokens = 64;

    private readonly List<float[]> _pages = [];

    public int Length { get; private set; }

    public ReadOnlySpan<float[]> Pages => CollectionsMarshal.AsSpan(_pages);

    /// <summary>Reserves space for more tokens; their keys and values must be written next.</summary>
    public void Extend(int tokens)
    {
        Length += tokens;
        while (_pages.Count * PageTokens < Length)
            _pages.Add(pool.Rent());
    }

    public void Write(int layer, int position, ReadOnlySpan<float> key, ReadOnlySpan<float> value)
    {
        var width = key.Length;
        var (page, slot) = (_pages[position / PageTokens], position % PageTokens);
        var keys = page.AsSpan(2 * layer * width * PageTokens, width * PageTokens);
        for (var i = 0; i < width; i++)
            keys[(i * PageTokens) + slot] = key[i];

        value.CopyTo(page.AsSpan((((2 * layer) + 1) * width * PageTokens) + (slot * width)));
    }

    public void Dispose()
    {
        foreach (var page in _pages)
            pool.Return(page);

        _pages.Clear();
        Length = 0;
    }
}

/// <summary>Pages that no stream uses, kept for the next one up to a bound. Safe for concurrent use.</summary>
internal sealed class KvPagePool(LlamaShape shape)
{
    private const long MostKeptBytes = 64 << 20;

    private readonly int _pageLength = 2 * shape.Layers * shape.KeyValueWidth * KvCache.PageTokens;
    private readonly ConcurrentBag<float[]> _free = [];

    // Old contents of a page are never read: keys and values are written before they are read.
    public float[] Rent() => _free.TryTake(out var page) ? page : GC.AllocateUninitializedArray<float>(_pageLength);

    public void Return(float[] page)
    {
        // Two threads may pass the check at the same time and keep one page more, which does no harm.
        if (_free.Count < MostKeptBytes / (_pageLength * sizeof(float)))
            _free.Add(page);
    }
}
