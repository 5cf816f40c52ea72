using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Skein.Load.Chaos.Network;

/// <summary>System calls that .NET lacks: network namespaces, tun devices and exec. Linux only.</summary>
internal static partial class Kernel
{
    /// <summary>Flag of <see cref="Unshare"/>: a new network namespace (CLONE_NEWNET).</summary>
    public const int NewNetwork = 0x40000000;

    private const short PollIn = 1;

    public static bool WaitForInput(SafeFileHandle file, int milliseconds)
    {
        var request = new PollRequest { File = (int)file.DangerousGetHandle(), Events = PollIn };
        return Poll(ref request, 1, milliseconds) > 0;
    }

    /// <summary>Returns the length; negative if there is nothing to read.</summary>
    public static int Read(SafeFileHandle file, Span<byte> buffer) => (int)Read(file, ref MemoryMarshal.GetReference(buffer), (nuint)buffer.Length);

    public static bool TryWrite(SafeFileHandle file, ReadOnlySpan<byte> bytes) =>
        Write(file, ref MemoryMarshal.GetReference(bytes), (nuint)bytes.Length) == bytes.Length;

    /// <summary>Moves the calling thread into new namespaces; 0 on success.</summary>
    [LibraryImport("libc", EntryPoint = "unshare", SetLastError = true)]
    public static partial int Unshare(int flags);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    public static partial int Control(SafeFileHandle file, nuint request, byte[] argument);

    /// <summary>Replaces this process by a program that is looked up in PATH; returns only on failure.</summary>
    /// <param name="arguments">The program again, its arguments, and null.</param>
    [LibraryImport("libc", EntryPoint = "execvp", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Execute(string program, string?[] arguments);

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    private static partial int Poll(ref PollRequest request, nuint count, int milliseconds);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint Read(SafeFileHandle file, ref byte buffer, nuint length);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint Write(SafeFileHandle file, ref byte buffer, nuint length);

    [StructLayout(LayoutKind.Sequential)]
    private struct PollRequest
    {
        public int File;
        public short Events;
        public short Returned;
    }
}
