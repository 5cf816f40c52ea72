using Skein.Gateway.Keys;

namespace Skein.Cli.Members;

/// <summary>A file of API keys, as <see cref="ApiKeyRing.Parse"/> reads it.</summary>
internal sealed class ApiKeyFile(string path, string origin)
{
    /// <summary>Write time of the last version that was read. It is taken before reading, so that no later change is missed.</summary>
    private DateTime _writtenAt;

    /// <summary>Whether the file was written after it was read last, or refused.</summary>
    public bool HasChanged => WatchedFile.WrittenAt(path) != _writtenAt;

    /// <exception cref="UsageException">It cannot be read, or is not valid.</exception>
    public ApiKeyRing Read()
    {
        try
        {
            _writtenAt = WatchedFile.WrittenAt(path);
            return ApiKeyRing.Parse(File.ReadAllText(path));
        }
        catch (FormatException error)
        {
            throw new UsageException($"{origin} {path} is no valid JSON: {error.Message}");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new UsageException($"{origin} {path}: {error.Message}");
        }
    }

    /// <inheritdoc cref="PrivateFile.Write"/>
    public void Write(ApiKeyRing keys) => PrivateFile.Write(path, [keys.ToJson()]);
}
