using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Skein.LinkBench;

/// <summary>
/// Wakes streams every 50 ms, each at its own phase or all at the same one. Uses a thread of its own, because timers of .NET fire on whole
/// milliseconds and would bundle tokens that must come one by one. Thread-safe.
/// </summary>
internal sealed partial class Pacer
{
    private const uint SleepMicroseconds = 50;
    private static readonly long StepTicks = Stopwatch.Frequency / 20;

    private readonly Lock _gate = new();
    private readonly PriorityQueue<PacedStream, long> _due = new();
    private int _joined;

    public Pacer() => new Thread(Run) { IsBackground = true, Name = "pacer" }.Start();

    /// <param name="ticked">True: at the same moment as all other ticked streams. False: at a phase of its own.</param>
    public PacedStream Join(bool ticked)
    {
        var now = Stopwatch.GetTimestamp();
        var step = now - (now % StepTicks) + StepTicks;
        var stream = new PacedStream();
        lock (_gate)
        {
            // The golden ratio spreads any number of streams evenly over the step.
            var phase = ticked ? 0 : (long)(++_joined * 0.618033988749895 % 1 * StepTicks);
            _due.Enqueue(stream, step + phase);
        }
        return stream;
    }

    private void Run()
    {
        while (true)
        {
            var now = Stopwatch.GetTimestamp();
            lock (_gate)
            {
                while (_due.TryPeek(out var stream, out var at) && at <= now)
                {
                    _due.Dequeue();
                    if (stream.Wake())
                        _due.Enqueue(stream, at + StepTicks);
                }
            }
            _ = USleep(SleepMicroseconds);
        }
    }

    [LibraryImport("libc", EntryPoint = "usleep")]
    private static partial int USleep(uint microseconds);
}
