using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Skein.Load.Chaos.Network;

/// <summary>System calls that .NET lacks: network namespaces, tun devices and exec. Linux only.</summary>
internal static partial class Kernel
{
    private const int NewNetwork = 0x40000000;
    private const short PollIn = 1;

    /// <summary>Moves the calling thread into a new network namespace; false if that is not permitted.</summary>
    public static bool TryEnterNewNetwork() => Unshare(NewNetwork) == 0;

    /// <summary>Calls ioctl; false if it failed.</summary>
    public static bool TryControl(SafeFileHandle file, nuint request, byte[] argument) => Control(file, request, argument) == 0;

    public static bool WaitForInput(SafeFileHandle file, int milliseconds)
    {
        var request = new PollRequest { File = (int)file.DangerousGetHandle(), Events = PollIn };
        return Poll(ref request, 1, milliseconds) > 0;
    }

    /// <summary>Returns the length; negative if there is nothing to read.</summary>
    public static int Read(SafeFileHandle file, Span<byte> buffer) => (int)Read(file, ref MemoryMarshal.GetReference(buffer), (nuint)buffer.Length);

    public static bool TryWrite(SafeFileHandle file, ReadOnlySpan<byte> bytes) =>
        Write(file, ref MemoryMarshal.GetReference(bytes), (nuint)bytes.Length) == bytes.Length;

    /// <summary>Replaces this process by another program (execvp); returns only on failure.</summary>
    /// <param name="command">The program, looked up in PATH, and its arguments.</param>
    public static void Exec(IReadOnlyList<string> command) => Execute(command[0], [.. command, null]);

    [LibraryImport("libc", EntryPoint = "unshare", SetLastError = true)]
    private static partial int Unshare(int flags);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int Control(SafeFileHandle file, nuint request, byte[] argument);

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    private static partial int Poll(ref PollRequest request, nuint count, int milliseconds);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint Read(SafeFileHandle file, ref byte buffer, nuint length);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint Write(SafeFileHandle file, ref byte buffer, nuint length);

    [LibraryImport("libc", EntryPoint = "execvp", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Execute(string program, string?[] arguments);

    [StructLayout(LayoutKind.Sequential)]
    private struct PollRequest
    {
        public int File;
        public short Events;
        public short Returned;
    }
}
