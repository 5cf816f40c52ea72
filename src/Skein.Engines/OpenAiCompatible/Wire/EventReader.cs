using System.Buffers;

namespace Skein.Engines.OpenAiCompatible.Wire;

/// <summary>What a step of reading found.</summary>
internal enum EventStep
{
    /// <summary>An event.</summary>
    Event,

    /// <summary>Bytes that do not complete an event: the server is alive.</summary>
    Bytes,

    /// <summary>The end of the body.</summary>
    End,
}

/// <summary>
/// Reads server-sent events by the rules of WHATWG: lines end with LF, CR or CRLF, a byte order mark may come first, comments and unknown fields have no
/// meaning. In addition an event has a bound, so that a line without an end does not fill the memory. A body that begins with a brace is no such stream but
/// one JSON object, as of a server that does not stream: it counts as one event. Not safe for concurrent use.
/// </summary>
internal sealed class EventReader
{
    /// <summary>Most bytes of an event, from the blank line before it.</summary>
    public const int MostEventBytes = 1 << 20;

    /// <summary>Most bytes of a body that is one JSON object: as many as the body of a request may have.</summary>
    private const int MostWholeBytes = 32 << 20;

    private const int FirstBufferBytes = 1_024;

    private byte[] _buffer = new byte[FirstBufferBytes];
    private int _start;
    private int _scanned;
    private int _end;
    private int _eventBytes;
    private bool _isBegun;
    private bool _isWhole;
    private bool _skipsLineFeed;
    private bool _isOver;
    private bool _isDispatched;
    private int _dataLines;
    private bool _isJoined;
    private ArrayBufferWriter<byte>? _joined;
    private ReadOnlyMemory<byte> _data;

    /// <summary>The type of the event: <c>message</c> if the server gave none.</summary>
    public string Type { get; private set; } = "message";

    /// <summary>The data of the event, its lines joined by LF. Valid until the next step.</summary>
    public ReadOnlySpan<byte> Data => _data.Span;

    /// <summary>The next event among the bytes received so far; null if more bytes are needed.</summary>
    /// <exception cref="FaultException">An event exceeds the bound.</exception>
    public EventStep? TryNext()
    {
        Forget();
        _isDispatched = ReadLines();
        return _isDispatched ? EventStep.Event : _isOver ? EventStep.End : null;
    }

    /// <summary>Where the next bytes of the body go. Called when <see cref="TryNext"/> needs more; <see cref="Received"/> follows.</summary>
    public Memory<byte> Room()
    {
        MakeRoom();
        return _buffer.AsMemory(_end);
    }

    /// <param name="count">Bytes written to <see cref="Room"/>; 0 at the end of the body.</param>
    /// <exception cref="FaultException">An event exceeds the bound.</exception>
    public EventStep Received(int count)
    {
        _end += count;
        _isOver = count == 0;
        // The blank line after the last event may be missing; a line without its end is cut and has no meaning.
        _isDispatched = ReadLines() || (_isOver && _dataLines > 0);
        return _isDispatched ? EventStep.Event : _isOver ? EventStep.End : EventStep.Bytes;
    }

    // Takes whole lines from the buffer until an event is complete.
    private bool ReadLines()
    {
        while (true)
        {
            if (_skipsLineFeed && _start < _end)
            {
                _skipsLineFeed = false;
                Skip(_buffer[_start] == '\n' ? 1 : 0);
            }

            if (!_isBegun && !TryBegin())
                return false;

            if (_isWhole)
                return ReadWhole();

            var length = _buffer.AsSpan(_scanned, _end - _scanned).IndexOfAny((byte)'\n', (byte)'\r');
            if (length < 0)
            {
                _scanned = _end;
                Bound(_eventBytes + _end - _start, MostEventBytes);
                return false;
            }

            var line = _buffer.AsMemory(_start, _scanned + length - _start);
            _skipsLineFeed = _buffer[_scanned + length] == '\r';
            Skip(line.Length + 1);
            if (line.IsEmpty)
            {
                _eventBytes = 0;
                if (_dataLines > 0)
                    return true;

                Type = "message";
                continue;
            }

            _eventBytes += line.Length + 1;
            Bound(_eventBytes, MostEventBytes);
            ReadField(line);
        }
    }

    private void ReadField(ReadOnlyMemory<byte> line)
    {
        var colon = line.Span.IndexOf((byte)':');
        var name = colon < 0 ? line.Span : line.Span[..colon];
        var value = colon < 0 ? default : line[(colon + 1)..];
        if (value.Span.StartsWith(" "u8))
            value = value[1..];

        if (name.SequenceEqual("data"u8))
            Append(value);
        else if (name.SequenceEqual("event"u8))
            Type = value.Span.SequenceEqual("error"u8) ? "error" : "message";
    }

    // One line, as nearly all events have, stays where it is.
    private void Append(ReadOnlyMemory<byte> value)
    {
        if (_dataLines++ == 0)
        {
            _data = value;
            return;
        }

        var joined = Join();
        joined.Write("\n"u8);
        joined.Write(value.Span);
        _data = joined.WrittenMemory;
    }

    // Moves the data out of the buffer.
    private ArrayBufferWriter<byte> Join()
    {
        _joined ??= new ArrayBufferWriter<byte>();
        if (!_isJoined)
        {
            _joined.ResetWrittenCount();
            _joined.Write(_data.Span);
            _data = _joined.WrittenMemory;
            _isJoined = true;
        }

        return _joined;
    }

    private bool TryBegin()
    {
        var available = _buffer.AsSpan(_start, _end - _start);
        var mark = Encoding.UTF8.Preamble;
        if (available.Length < mark.Length && mark.StartsWith(available) && !_isOver)
            return false;

        Skip(available.StartsWith(mark) ? mark.Length : 0);
        available = _buffer.AsSpan(_start, _end - _start);
        var blanks = available.IndexOfAnyExcept(" \t\r\n"u8);
        Skip(blanks < 0 ? available.Length : blanks);
        _isBegun = blanks >= 0;
        _isWhole = _isBegun && _buffer[_start] == '{';
        return _isBegun;
    }

    private bool ReadWhole()
    {
        var body = _buffer.AsMemory(_start, _end - _start);
        Bound(body.Length, MostWholeBytes);
        if (!_isOver || body.IsEmpty)
            return false;

        _data = body;
        Skip(body.Length);
        return true;
    }

    private void Skip(int bytes)
    {
        _start += bytes;
        _scanned = _start;
    }

    // After an event its data is not needed any more.
    private void Forget()
    {
        if (!_isDispatched)
            return;

        (_isDispatched, _isJoined, _dataLines, _data, Type) = (false, false, 0, default, "message");
    }

    private void MakeRoom()
    {
        if (_dataLines > 0)
            Join();

        var kept = _end - _start;
        if (kept > _buffer.Length / 2)
        {
            var larger = new byte[_buffer.Length * 2];
            _buffer.AsSpan(_start, kept).CopyTo(larger);
            _buffer = larger;
        }
        else if (_start > 0)
        {
            _buffer.AsSpan(_start, kept).CopyTo(_buffer);
        }

        (_scanned, _start, _end) = (_scanned - _start, 0, kept);
    }

    private static void Bound(int bytes, int most)
    {
        if (bytes > most)
            throw new FaultException(Fault.EngineFailed, $"the engine sent an event of {bytes} bytes or more; allowed: up to {most} bytes");
    }
}
