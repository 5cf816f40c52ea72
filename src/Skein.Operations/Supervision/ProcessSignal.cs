using System.Runtime.InteropServices;

namespace Skein.Operations.Supervision;

/// <summary>Signals to processes that this one has started. Linux and macOS.</summary>
internal static partial class ProcessSignal
{
    public const int Kill = 9;
    public const int Terminate = 15;

    /// <summary>SIGSTOP.</summary>
    public static int Stop => OperatingSystem.IsMacOS() ? 17 : 19;

    /// <summary>SIGCONT.</summary>
    public static int Continue => OperatingSystem.IsMacOS() ? 19 : 18;

    /// <returns>False when there is no such process any more.</returns>
    /// <exception cref="CommandFailedException">The system refused.</exception>
    public static bool Send(int processId, int signal)
    {
        const int NoSuchProcess = 3;
        if (SendSignal(processId, signal) == 0)
            return true;
        var error = Marshal.GetLastPInvokeError();
        return error == NoSuchProcess
            ? false
            : throw new CommandFailedException($"signal {signal} to process {processId} was refused: error {error}");
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int SendSignal(int processId, int signal);
}
