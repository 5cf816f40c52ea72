namespace Skein.Gateway.Telemetry;

/// <summary>
/// Writes lines to a file or a pipe on a thread of its own. Whoever writes a line never waits and never fails: lines that the file or pipe does not take, or
/// that come while too many wait, are dropped and counted. Thread-safe.
/// </summary>
public sealed class LineSink : IDisposable
{
    /// <summary>Most lines that wait.</summary>
    public const int MaxLines = 8192;

    /// <summary>Most bytes that wait.</summary>
    public const int MaxBytes = 16 << 20;

    private const int MaxChunkBytes = 64 << 10;

    /// <summary>Longest wait for the lines that are left when it is disposed.</summary>
    private static readonly TimeSpan CloseTimeout = TimeSpan.FromSeconds(2);

    /// <summary>Between two looks whether a file was moved away.</summary>
    private static readonly TimeSpan RotationCheck = TimeSpan.FromSeconds(1);

    private readonly object _gate = new();
    private readonly Queue<byte[]> _lines = [];
    private readonly Func<Stream> _open;
    private readonly string? _path;
    private readonly Func<long, string> _notice;
    private readonly TimeProvider _time;
    private readonly Thread _writer;
    private readonly MemoryStream _chunk = new();
    private Stream? _stream;
    private long _checkedAt;
    private long _waitingBytes;
    private long _dropped;
    private long _told;
    private bool _isClosed;
    private bool _isWriting;

    /// <param name="name">Attribute <c>log</c> of the metric <c>skein.log.dropped</c>.</param>
    /// <param name="open">Opens the file or pipe; called again after it failed.</param>
    /// <param name="notice">A line that says how many were dropped.</param>
    public LineSink(string name, Func<Stream> open, Func<long, string> notice, TimeProvider time)
        : this(name, open, path: null, notice, time)
    {
    }

    private LineSink(string name, Func<Stream> open, string? path, Func<long, string> notice, TimeProvider time)
    {
        (Name, _open, _path, _notice, _time) = (name, open, path, notice, time);
        _writer = new Thread(Run) { IsBackground = true, Name = $"{name} writer" };
        _writer.Start();
    }

    public string Name { get; }

    /// <summary>Lines that were dropped.</summary>
    public long Dropped => Interlocked.Read(ref _dropped);

    /// <summary>A sink that appends to a file. A file that was moved away or deleted is created again.</summary>
    public static LineSink ToFile(string name, string path, Func<long, string> notice, TimeProvider time) => new(name, () => Append(path), path, notice, time);

    /// <returns>False if it was dropped.</returns>
    public bool TryWrite(ReadOnlySpan<byte> line)
    {
        var copy = new byte[line.Length + 1];
        line.CopyTo(copy);
        copy[^1] = (byte)'\n';
        lock (_gate)
        {
            if (!_isClosed && _lines.Count < MaxLines && _waitingBytes + copy.Length <= MaxBytes)
            {
                _lines.Enqueue(copy);
                _waitingBytes += copy.Length;
                if (!_isWriting)
                    Monitor.Pulse(_gate);
                return true;
            }
        }
        Interlocked.Increment(ref _dropped);
        return false;
    }

    public bool TryWrite(string line) => TryWrite(Encoding.UTF8.GetBytes(line));

    /// <summary>Writes the lines that wait, for at most two seconds.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _isClosed = true;
            Monitor.PulseAll(_gate);
        }
        // A pipe that nobody reads keeps the thread for ever: it is a background thread.
        _writer.Join(CloseTimeout);
    }

    private static FileStream Append(string path) => new(
        path, new FileStreamOptions
        {
            Mode = FileMode.Append, Access = FileAccess.Write, Share = FileShare.ReadWrite | FileShare.Delete, BufferSize = 0,
        });

    private void Run()
    {
        while (TakeChunk() is > 0 and var lines)
        {
            try
            {
                Write();
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or ObjectDisposedException or NotSupportedException)
            {
                // Full, closed or not allowed: there is no other place to say so than the count.
                Interlocked.Add(ref _dropped, lines);
                Close();
            }
        }
        Close();
    }

    /// <returns>Number of lines in the next chunk; 0: there will be no more.</returns>
    private int TakeChunk()
    {
        _chunk.SetLength(0);
        var lines = 0;
        lock (_gate)
        {
            _isWriting = false;
            while (_lines.Count == 0 && !_isClosed)
                Monitor.Wait(_gate);
            _isWriting = true;
            while (_chunk.Length < MaxChunkBytes && _lines.TryDequeue(out var line))
            {
                _chunk.Write(line);
                _waitingBytes -= line.Length;
                lines++;
            }
        }
        return lines;
    }

    private void Write()
    {
        if (_stream is not null && IsMoved(_stream))
            Close();
        _stream ??= _open();
        var dropped = Dropped;
        if (dropped > _told)
        {
            _stream.Write(Encoding.UTF8.GetBytes(_notice(dropped - _told) + "\n"));
            _told = dropped;
        }
        _stream.Write(_chunk.GetBuffer(), 0, (int)_chunk.Length);
        _stream.Flush();
    }

    // A file of another length than the open one is another file.
    private bool IsMoved(Stream stream)
    {
        if (_path is null || _time.GetElapsedTime(_checkedAt) < RotationCheck)
            return false;
        _checkedAt = _time.GetTimestamp();
        var file = new FileInfo(_path);
        if (!file.Exists || file.Length != stream.Length)
            return true;
        // It was emptied in place.
        if (stream.Position > stream.Length)
            stream.Seek(0, SeekOrigin.End);
        return false;
    }

    private void Close()
    {
        try
        {
            _stream?.Dispose();
        }
        catch (IOException)
        {
            // What was not written is counted already.
        }
        _stream = null;
    }
}
