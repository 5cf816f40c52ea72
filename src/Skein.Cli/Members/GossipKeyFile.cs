using Skein.Cli.Settings;
using Skein.Membership;

namespace Skein.Cli.Members;

/// <summary>
/// A file of gossip keys: base64, one a line, the one that seals first. Members read it again when it changes, so that keys are rotated
/// without a restart.
/// </summary>
internal sealed class GossipKeyFile(string path)
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    /// <summary>When the file that was read last was written: asked before reading, so that no change in between goes unseen.</summary>
    private DateTime _writtenAt;

    public static GossipKeyFile? From(string? path) => path is null ? null : new GossipKeyFile(path);

    /// <exception cref="UsageException">The file cannot be read, a line is no key, or there is none: who names a file wants to be sealed.</exception>
    public GossipKeys Read()
    {
        GossipKeys keys;
        try
        {
            _writtenAt = File.GetLastWriteTimeUtc(path);
            keys = GossipKeys.Parse(File.ReadAllText(path));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or MembershipException)
        {
            throw new UsageException($"--gossip-key-file {path}: {error.Message}");
        }
        return keys.IsEmpty ? throw new UsageException($"--gossip-key-file {path}: it has no key; allowed: at least one (skein gossip-keys new)") : keys;
    }

    /// <summary>Writes the keys so that nobody else can read them, and a reader never sees half of them.</summary>
    /// <exception cref="CommandFailedException">The file cannot be written.</exception>
    public void Write(IEnumerable<string> lines)
    {
        var whole = path + ".new";
        try
        {
            var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
            if (!OperatingSystem.IsWindows())
                options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            using (var writer = new StreamWriter(whole, options))
            {
                foreach (var line in lines)
                    writer.WriteLine(line);
            }
            File.Move(whole, path, overwrite: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException($"{path} cannot be written: {error.Message}", error);
        }
    }

    /// <summary>Looks each second whether the keys have changed since they were read, and gives them to the member. A file that is wrong is told once, and the old keys stay.</summary>
    public IDisposable Follow(IMembership membership, TimeProvider time) => time.CreateTimer(
        _ =>
        {
            try
            {
                if (File.GetLastWriteTimeUtc(path) != _writtenAt)
                    membership.UseKeys(Read());
            }
            catch (Exception error) when (error is UsageException or MembershipException or IOException or UnauthorizedAccessException)
            {
                Console.Error.WriteLine($"gossip keys stay as they were: {error.Message}");
            }
        },
        null,
        Period,
        Period);
}
