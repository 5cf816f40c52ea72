using System.Globalization;
using System.Runtime.InteropServices;

namespace Skein.EndToEnd.Support;

/// <summary>A signal to a process.</summary>
internal enum Signal
{
    /// <summary>Ctrl-C. SIGINT.</summary>
    Interrupt = 2,

    /// <summary>Ends it at once. SIGKILL.</summary>
    Kill = 9,

    /// <summary>Asks it to stop. SIGTERM.</summary>
    Terminate = 15,

    /// <summary>Resumes it after <see cref="Freeze"/>. SIGCONT (Linux).</summary>
    Thaw = 18,

    /// <summary>Stops it without closing its connections. SIGSTOP (Linux).</summary>
    Freeze = 19,
}

/// <summary>One process on Linux, by pid and start time: pids are reused.</summary>
/// <param name="Pid">Process id.</param>
/// <param name="StartedAt">Clock ticks from boot to its start, from /proc.</param>
internal sealed partial record ProcessHandle(int Pid, ulong StartedAt)
{
    /// <summary>False once it has ended; a zombie has ended.</summary>
    public bool IsRunning => Find(Pid) == this;

    /// <exception cref="InvalidOperationException">There is no such process.</exception>
    public static ProcessHandle Of(int pid) => Find(pid) ?? throw new InvalidOperationException($"no process has pid {pid}");

    /// <summary>A process that ended before it could be found.</summary>
    public static ProcessHandle Ended(int pid) => new(pid, StartedAt: 0);

    public void Send(Signal signal)
    {
        if (IsRunning && Kill(Pid, (int)signal) != 0)
            throw new InvalidOperationException($"{signal} to pid {Pid} failed: error {Marshal.GetLastPInvokeError()}");
    }

    /// <summary>True if it was started with this signal ignored, as shells start the background jobs of scripts.</summary>
    public bool Ignores(Signal signal)
    {
        const string Field = "SigIgn:";
        var mask = File.ReadLines($"/proc/{Pid}/status").Single(line => line.StartsWith(Field, StringComparison.Ordinal))[Field.Length..];
        return (ulong.Parse(mask.Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture) >> ((int)signal - 1) & 1) != 0;
    }

    /// <summary>Null when it has ended.</summary>
    public static ProcessHandle? Find(int pid)
    {
        try
        {
            var stat = File.ReadAllText($"/proc/{pid}/stat");
            // The program's name, in parentheses, may contain blanks. After it: state, then 18 numbers, then the start time.
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return fields[0] is "Z" or "X" ? null : new ProcessHandle(pid, ulong.Parse(fields[19], CultureInfo.InvariantCulture));
        }
        catch (IOException)
        {
            return null;
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int pid, int signal);
}
