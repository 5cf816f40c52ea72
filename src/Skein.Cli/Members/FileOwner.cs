using System.Buffers.Binary;
using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Skein.Cli.Members;

/// <summary>The user and the group that a file belongs to, on Linux. Elsewhere they are not known, and nothing is changed. Immutable.</summary>
internal readonly partial record struct FileOwner(uint User, uint Group)
{
    private const int CurrentDirectory = -100; // AT_FDCWD
    private const uint OwnerMask = 0x18; // STATX_UID | STATX_GID

    // struct statx has the same layout on every architecture: see statx(2).
    private const int StatusBytes = 256;
    private const int UserOffset = 20;
    private const int GroupOffset = 24;

    /// <summary>Null: it is not known.</summary>
    public static FileOwner? Of(string path)
    {
        if (!OperatingSystem.IsLinux())
            return null;
        var status = new byte[StatusBytes];
        try
        {
            return Status(CurrentDirectory, path, 0, OwnerMask, status) == 0 ? new FileOwner(Read(UserOffset), Read(GroupOffset)) : null;
        }
        catch (EntryPointNotFoundException)
        {
            // An older C library.
            return null;
        }

        uint Read(int offset) => BitConverter.IsLittleEndian
            ? BinaryPrimitives.ReadUInt32LittleEndian(status.AsSpan(offset))
            : BinaryPrimitives.ReadUInt32BigEndian(status.AsSpan(offset));
    }

    /// <summary>Gives the file to this user and group. Only root may give files to other users.</summary>
    /// <exception cref="UnauthorizedAccessException">It is not allowed.</exception>
    public void Give(string path)
    {
        if (Of(path) is { } owner && owner != this && ChangeOwner(path, User, Group) != 0)
            throw new UnauthorizedAccessException(
                $"it belongs to user {User} and group {Group}: {new Win32Exception().Message}; run the command as that user, or as root");
    }

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Status(int directory, string path, int flags, uint mask, [Out] byte[] status);

    [LibraryImport("libc", EntryPoint = "chown", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int ChangeOwner(string path, uint user, uint group);
}
