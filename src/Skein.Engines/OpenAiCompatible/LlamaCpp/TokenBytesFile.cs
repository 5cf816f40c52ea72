using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Skein.Engines.OpenAiCompatible.LlamaCpp;

/// <summary>
/// Keeps the bytes of a model's tokens in a file over restarts: reading them from the server takes about 100 bytes a token. One file per model, 16 at most;
/// the oldest are deleted. A file that is missing, damaged or not writable is not an error: the server is asked instead.
/// </summary>
internal static class TokenBytesFile
{
    private const int MostFiles = 16;
    private const int MostTokenBytes = 4096;
    private const long MostFileBytes = 64L << 20;
    private const int HashBytes = 32;
    private const ushort NoToken = ushort.MaxValue;

    /// <summary>The user's cache directory for this program.</summary>
    public static string DefaultDirectory => Path.Combine(
        Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } cache
            ? cache
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache"),
        "skein", "vocabularies");

    /// <summary>The bytes by id; null if there is no usable file.</summary>
    /// <param name="identity">Everything that distinguishes the model from others.</param>
    /// <param name="size">Number of ids.</param>
    public static byte[]?[]? Read(string directory, string identity, int size)
    {
        try
        {
            var file = new FileInfo(PathOf(directory, identity, size));
            return file is { Exists: true, Length: <= MostFileBytes } ? Parse(File.ReadAllBytes(file.FullName), size) : null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    public static void Write(string directory, string identity, byte[]?[] bytes)
    {
        try
        {
            Directory.CreateDirectory(directory);
            var path = PathOf(directory, identity, bytes.Length);
            // Another process may write the same file: each writes its own and renames it.
            var own = $"{path}.{Environment.ProcessId}.{Guid.NewGuid():N}";
            File.WriteAllBytes(own, Format(bytes));
            File.Move(own, path, overwrite: true);
            foreach (var old in new DirectoryInfo(directory).GetFiles().OrderByDescending(file => file.LastWriteTimeUtc).Skip(MostFiles))
                old.Delete();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // It is read from the server again after the next start.
        }
    }

    private static string PathOf(string directory, string identity, int size) => Path.Combine(
        directory, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{size}\n{identity}")).AsSpan(0, 16)) + ".tokens");

    // For each id its length in 2 bytes, then its bytes; at the end a SHA-256 over all of it.
    private static byte[] Format(byte[]?[] bytes)
    {
        using var file = new MemoryStream();
        Span<byte> length = stackalloc byte[2];
        foreach (var token in bytes)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(length, token is null ? NoToken : (ushort)token.Length);
            file.Write(length);
            file.Write(token ?? []);
        }

        var content = file.ToArray();
        return [.. content, .. SHA256.HashData(content)];
    }

    private static byte[]?[]? Parse(ReadOnlySpan<byte> file, int size)
    {
        if (file.Length < HashBytes || !SHA256.HashData(file[..^HashBytes]).AsSpan().SequenceEqual(file[^HashBytes..]))
            return null;

        var rest = file[..^HashBytes];
        var bytes = new byte[]?[size];
        for (var id = 0; id < size; id++)
        {
            if (rest.Length < 2)
                return null;

            var length = BinaryPrimitives.ReadUInt16LittleEndian(rest);
            rest = rest[2..];
            if (length == NoToken)
                continue;

            if (length > MostTokenBytes || length > rest.Length)
                return null;

            bytes[id] = rest[..length].ToArray();
            rest = rest[length..];
        }

        return rest.IsEmpty ? bytes : null;
    }
}
