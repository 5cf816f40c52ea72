using System.Runtime.InteropServices;

namespace Skein.GatewayBench.Processes;

/// <summary>
/// The CPU clock of another process: user and system time of all its threads, those that have ended included. The same quantity as utime + stime
/// of <c>/proc/pid/stat</c>, which is rounded to 10 ms: too coarse for a measurement of 2 s. Linux only.
/// </summary>
internal sealed partial class ProcessCpuClock(int processId)
{
    // clock_getcpuclockid(3): the complement of the process id, shifted by three, with CPUCLOCK_SCHED in the lowest bits.
    private readonly int _clock = (~processId << 3) | 2;

    /// <exception cref="InvalidOperationException">The process has ended.</exception>
    public TimeSpan Read() => GetTime(_clock, out var time) == 0
        ? TimeSpan.FromSeconds(time.Seconds) + TimeSpan.FromMicroseconds(time.Nanoseconds / 1000.0)
        : throw new InvalidOperationException($"the CPU clock of process {processId} cannot be read: error {Marshal.GetLastPInvokeError()}");

    [LibraryImport("libc", EntryPoint = "clock_gettime", SetLastError = true)]
    private static partial int GetTime(int clock, out TimeSpec time);

    [StructLayout(LayoutKind.Sequential)]
    private readonly struct TimeSpec
    {
        public readonly nint Seconds;
        public readonly nint Nanoseconds;
    }
}
