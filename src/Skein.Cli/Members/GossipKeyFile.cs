namespace Skein.Cli.Members;

/// <summary>A file of gossip keys: base64, one per line, the encrypting key first. Members reload it when it changes.</summary>
/// <param name="origin">What named the file, for messages.</param>
internal sealed class GossipKeyFile(string path, string origin = "--gossip-key-file")
{
    private const string Content = "gossip keys";

    /// <summary>Write time of the last version that was read. It is taken before reading, so that no later change is missed.</summary>
    private DateTime _writtenAt;

    public GossipKeys Read()
    {
        GossipKeys keys;
        try
        {
            _writtenAt = WatchedFile.WrittenAt(path);
            keys = GossipKeys.Parse(File.ReadAllText(path));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new UsageException($"{origin} {path}: {error.Message}");
        }
        return keys.IsEmpty ? throw new UsageException($"{origin} {path}: it has no key; allowed: at least one (skein gossip-keys new)") : keys;
    }

    /// <inheritdoc cref="PrivateFile.Write"/>
    public void Write(IEnumerable<string> lines) => PrivateFile.Write(path, lines);

    /// <summary>Checks the file every second and gives changed keys to the member. An invalid file is reported once; the old keys stay in use.</summary>
    public IDisposable Follow(IMembership membership, TimeProvider time, FileReports reports) => WatchedFile.Follow(
        Content, time, reports, () =>
        {
            if (WatchedFile.WrittenAt(path) == _writtenAt)
                return false;
            membership.UseKeys(Read());
            return true;
        });
}
