namespace Skein.Serving;

/// <summary>What a tick finds.</summary>
internal enum Silence
{
    /// <summary>Something was written not long ago, or is being written.</summary>
    None,

    /// <summary>Nothing was written since the tick before the last: a heartbeat is due.</summary>
    Quiet,

    /// <summary>A write has been under way for too long: nobody reads.</summary>
    Stuck,
}

/// <summary>Watches one stream's writes. Writes come from one task, ticks from one other.</summary>
/// <param name="time">Measures how long a write takes.</param>
/// <param name="writeTimeout">A write that takes longer is stuck.</param>
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
        {
            return time.GetElapsedTime(writingSince) > writeTimeout ? Silence.Stuck : Silence.None;
        }

        return Interlocked.Increment(ref _ticksSinceWrite) >= QuietTicks ? Silence.Quiet : Silence.None;
    }
}
