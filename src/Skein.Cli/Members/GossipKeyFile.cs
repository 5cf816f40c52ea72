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

    public static GossipKeyFile? From(string? path) => path is null ? null : new GossipKeyFile(path);

    /// <exception cref="UsageException">The file cannot be read, or a line is no key.</exception>
    public GossipKeys Read()
    {
        try
        {
            return GossipKeys.Parse(File.ReadAllText(path));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or MembershipException)
        {
            throw new UsageException($"--gossip-key-file {path}: {error.Message}");
        }
    }

    /// <summary>Writes the keys so that nobody else can read them, and a reader never sees half of them.</summary>
    /// <exception cref="CommandFailedException">The file cannot be written.</exception>
    public void Write(IEnumerable<string> lines)
    {
        string whole = path + ".new";
        try
        {
            var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
            if (!OperatingSystem.IsWindows())
                options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            using (var writer = new StreamWriter(whole, options))
            {
                foreach (string line in lines)
                    writer.WriteLine(line);
            }
            File.Move(whole, path, overwrite: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException($"{path} cannot be written: {error.Message}", error);
        }
    }

    /// <summary>Looks each second whether the keys have changed, and gives them to the member. A file that is wrong is told once, and the old keys stay.</summary>
    public IDisposable Follow(IMembership membership, TimeProvider time)
    {
        DateTime seen = File.GetLastWriteTimeUtc(path);
        return time.CreateTimer(
            _ =>
            {
                try
                {
                    DateTime written = File.GetLastWriteTimeUtc(path);
                    if (written == seen)
                        return;
                    seen = written;
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
}
