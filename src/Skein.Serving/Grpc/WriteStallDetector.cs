namespace Skein.Serving.Grpc;

internal enum Silence
{
    /// <summary>A write ended lately, or is under way.</summary>
    None,

    /// <summary>No write for two ticks: a heartbeat is due.</summary>
    Quiet,

    /// <summary>A write has been under way for too long: the reader has stopped reading.</summary>
    Stuck,
}

/// <summary>Detects stalled writes of one stream. Writes come from one task, ticks from another.</summary>
internal sealed class WriteStallDetector(TimeProvider time, TimeSpan writeTimeout)
{
    private const int QuietTicks = 2;
    private const long NotWriting = long.MinValue;

    private int _ticksSinceWrite;
    private long _writingSince = NotWriting;

    public void WriteBegins() => Volatile.Write(ref _writingSince, time.GetTimestamp());

    public void WriteEnds()
    {
        Volatile.Write(ref _ticksSinceWrite, 0);
        Volatile.Write(ref _writingSince, NotWriting);
    }

    /// <summary>Called twice per heartbeat interval.</summary>
    public Silence Tick()
    {
        var writingSince = Volatile.Read(ref _writingSince);
        if (writingSince != NotWriting)
            return time.GetElapsedTime(writingSince) > writeTimeout ? Silence.Stuck : Silence.None;

        return Interlocked.Increment(ref _ticksSinceWrite) >= QuietTicks ? Silence.Quiet : Silence.None;
    }
}
