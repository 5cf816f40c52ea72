namespace Skein.Load.Targets;

/// <summary>
/// Passes an event stream through unchanged, reports its comments, which event parsers drop, and rejects lines that are too long.
/// Not thread-safe; asynchronous reads only.
/// </summary>
/// <param name="inner">The wrapped stream; disposed with this one.</param>
/// <param name="onComment">Receives each comment, colon included, truncated to 1,024 bytes.</param>
public sealed class SseCommentStream(Stream inner, Action<string> onComment) : AsyncStream(inner)
{
    private const int MaxCommentBytes = 1024;
    private const int MaxLineBytes = 1 << 20;

    private readonly Stream _inner = inner;
    private readonly StringBuilder _comment = new();
    private int _lineBytes;
    private bool _isComment;

    /// <exception cref="InvalidDataException">A line is too long.</exception>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = await _inner.ReadAsync(buffer, cancellationToken);
        Scan(buffer.Span[..read]);
        return read;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    private void Scan(ReadOnlySpan<byte> bytes)
    {
        foreach (var unit in bytes)
        {
            if (unit is (byte)'\n' or (byte)'\r')
            {
                EndLine();
                continue;
            }

            _isComment |= _lineBytes == 0 && unit == (byte)':';
            if (++_lineBytes > MaxLineBytes)
                throw new InvalidDataException($"a line of the event stream has more than {MaxLineBytes} bytes");
            if (_isComment && _comment.Length < MaxCommentBytes)
                _comment.Append((char)unit);
        }
    }

    private void EndLine()
    {
        if (_isComment)
        {
            onComment(_comment.ToString());
            _comment.Clear();
        }

        _isComment = false;
        _lineBytes = 0;
    }
}
