using System.Buffers;

namespace Skein.Gateway.Api.Http;

/// <summary>
/// Collects a body of unknown length. A small one is in one array, which is never copied. A large one is in pooled blocks and becomes one array only when it is
/// whole: a body that is refused halfway, such as a compression bomb, leaves no garbage of its size. Not thread-safe.
/// </summary>
internal sealed class BodyBuffer : IDisposable
{
    private const int BlockBytes = 256 << 10;

    private readonly RequestMemoryBudget.Share _share;
    private readonly int _maxBytes;
    private readonly byte[] _first;
    private readonly List<byte[]> _blocks = [];
    private int _inBlock = BlockBytes;

    /// <param name="initialBytes">Size of the first array. A body of this length is not copied.</param>
    /// <param name="maxBytes">Longest body. The caller checks it; no more is taken from <paramref name="share"/>.</param>
    /// <param name="share">Where the memory is taken from.</param>
    /// <exception cref="FaultException">All bodies together would exceed their limit.</exception>
    public BodyBuffer(int initialBytes, int maxBytes, RequestMemoryBudget.Share share)
    {
        share.GrowTo(initialBytes);
        (_share, _maxBytes, _first) = (share, maxBytes, new byte[initialBytes]);
    }

    /// <summary>Bytes so far.</summary>
    public int Length { get; private set; }

    /// <exception cref="FaultException">All bodies together would exceed their limit.</exception>
    public void Append(in ReadOnlySequence<byte> arrived)
    {
        foreach (var part in arrived)
        {
            var rest = part.Span;
            while (!rest.IsEmpty)
            {
                var free = Free();
                var count = Math.Min(free.Length, rest.Length);
                rest[..count].CopyTo(free);
                rest = rest[count..];
                Length += count;
                if (_blocks.Count > 0)
                    _inBlock += count;
            }
        }
    }

    /// <returns>The body. It holds no pooled memory.</returns>
    public ReadOnlyMemory<byte> ToMemory()
    {
        if (_blocks.Count == 0)
            return _first.AsMemory(0, Length);
        var whole = new byte[Length];
        _first.CopyTo(whole, 0);
        var used = _first.Length;
        foreach (var block in _blocks)
        {
            var count = Math.Min(BlockBytes, Length - used);
            block.AsSpan(0, count).CopyTo(whole.AsSpan(used));
            used += count;
        }
        _share.ShrinkTo(Length);
        return whole;
    }

    public void Dispose()
    {
        foreach (var block in _blocks)
            ArrayPool<byte>.Shared.Return(block);
        _blocks.Clear();
    }

    private Span<byte> Free()
    {
        if (Length < _first.Length)
            return _first.AsSpan(Length);
        if (_inBlock == BlockBytes)
        {
            _share.GrowTo(Math.Min(_maxBytes, _first.Length + ((_blocks.Count + 1L) * BlockBytes)));
            _blocks.Add(ArrayPool<byte>.Shared.Rent(BlockBytes));
            _inBlock = 0;
        }
        return _blocks[^1].AsSpan(_inBlock, BlockBytes - _inBlock);
    }
}
