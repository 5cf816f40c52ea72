using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Skein.Membership.Tests.Network;

/// <summary>What the base library does not do with the kernel: network namespaces and tun devices. Linux only.</summary>
internal static class Kernel
{
    private const int NewNetwork = 0x40000000;
    private const short PollIn = 1;

    /// <summary>Moves the calling thread into a new network; answers whether that is permitted.</summary>
    public static bool TryEnterNewNetwork() => Unshare(NewNetwork) == 0;

    /// <summary>ioctl.</summary>
    public static bool TryControl(SafeFileHandle file, nuint request, byte[] argument) => Control(file, request, argument) == 0;

    public static bool WaitForInput(SafeFileHandle file, int milliseconds)
    {
        var request = new PollRequest { File = (int)file.DangerousGetHandle(), Events = PollIn };
        return Poll(ref request, 1, milliseconds) > 0;
    }

    /// <summary>Answers the length; below 0 where there is nothing.</summary>
    public static int Read(SafeFileHandle file, Span<byte> buffer) => (int)Read(file, ref MemoryMarshal.GetReference(buffer), (nuint)buffer.Length);

    public static bool TryWrite(SafeFileHandle file, ReadOnlySpan<byte> bytes) =>
        Write(file, ref MemoryMarshal.GetReference(bytes), (nuint)bytes.Length) == bytes.Length;

    [DllImport("libc", EntryPoint = "unshare", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int Unshare(int flags);

    [DllImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int Control(SafeFileHandle file, nuint request, byte[] argument);

    [DllImport("libc", EntryPoint = "poll", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int Poll(ref PollRequest request, nuint count, int milliseconds);

    [DllImport("libc", EntryPoint = "read", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern nint Read(SafeFileHandle file, ref byte buffer, nuint length);

    [DllImport("libc", EntryPoint = "write", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern nint Write(SafeFileHandle file, ref byte buffer, nuint length);

    [StructLayout(LayoutKind.Sequential)]
    private struct PollRequest
    {
        public int File;
        public short Events;
        public short Returned;
    }
}
