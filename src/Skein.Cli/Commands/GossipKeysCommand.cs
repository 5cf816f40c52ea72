using Skein.Cli.Members;
using Skein.Cli.Settings;
using Skein.Cli.Terminal;

namespace Skein.Cli.Commands;

/// <summary><c>skein gossip-keys</c>: creates and edits the key file that members read with <c>--gossip-key-file</c>.</summary>
internal static class GossipKeysCommand
{
    private static readonly Argument<string> KeyFile = new("file") { Description = "The key file" };
    private static readonly Setting<bool> Stdin = Setting.Flag("stdin", "Read the key from standard input");
    private static readonly Argument<string> KeyId = new("id") { Description = "Id of a key, as printed by 'list'" };

    public static Command Create() => new("gossip-keys", """
        Create and rotate the keys that encrypt gossip

        To rotate keys without downtime: 'add' a new key to the file of every member, then 'use' it on every member, then 'remove' the old key.
        """)
    {
        CommandLine.Verb("new", "Create a file with one new key", [], New, KeyFile),
        CommandLine.Verb("list", "Print the ids of the keys, not the keys; the first one encrypts", [], List, KeyFile),
        CommandLine.Verb("add", "Append a key: a new one, or with --stdin the one on standard input", [Stdin], AddAsync, KeyFile),
        CommandLine.Verb(
            "use", "Encrypt with this key from now on", [],
            sources => Change(sources, (keys, at) => [keys[at], .. keys.Where((_, index) => index != at)]), KeyFile, KeyId),
        CommandLine.Verb(
            "remove", "Remove a key", [], sources => Change(sources, (keys, at) => [.. keys.Where((_, index) => index != at)]), KeyFile, KeyId),
    };

    private static Task<int> New(SettingSources sources)
    {
        var path = sources.Get(KeyFile);
        if (File.Exists(path))
            throw new UsageException($"{path} exists; allowed: a file that does not exist; use 'skein gossip-keys add' to add a key to this one");
        FileAt(path).Write([GossipKeys.NewKey()]);
        Console.WriteLine($"{path} has one new key; copy it to every member and start them with --gossip-key-file {path}");
        return Task.FromResult(CommandLine.Success);
    }

    private static Task<int> List(SettingSources sources)
    {
        Print(FileAt(sources.Get(KeyFile)).Read());
        return Task.FromResult(CommandLine.Success);
    }

    private static async Task<int> AddAsync(SettingSources sources)
    {
        var path = sources.Get(KeyFile);
        var given = Stdin.Read(sources) ? (await Console.In.ReadLineAsync())?.Trim() : null;
        var key = string.IsNullOrEmpty(given) ? GossipKeys.NewKey() : given;
        using var locked = await PrivateFile.LockAsync(path);
        return Save(path, [.. KeysIn(path), key]);
    }

    private static async Task<int> Change(SettingSources sources, Func<string[], int, string[]> change)
    {
        var path = sources.Get(KeyFile);
        var id = sources.Get(KeyId);
        using var locked = await PrivateFile.LockAsync(path);
        var ids = FileAt(path).Read().Ids;
        var at = ids.ToList().IndexOf(id);
        if (at < 0)
            throw new UsageException($"key '{id}' is not in {path}; allowed: {string.Join(", ", ids)}");
        return Save(path, change(KeysIn(path), at));
    }

    private static int Save(string path, string[] keys)
    {
        GossipKeys parsed;
        try
        {
            parsed = GossipKeys.Parse(string.Join('\n', keys));
        }
        catch (ArgumentException error)
        {
            throw new UsageException(error.Message);
        }
        if (parsed.IsEmpty)
            throw new UsageException($"{path} would have no key left; allowed: at least one");
        FileAt(path).Write(keys);
        Print(parsed);
        return CommandLine.Success;
    }

    /// <summary>The keys in the file, in the order of <see cref="GossipKeys.Ids"/>.</summary>
    private static string[] KeysIn(string path)
    {
        _ = FileAt(path).Read();
        return [.. File.ReadLines(path).Select(line => line.Trim()).Where(line => line.Length > 0 && line[0] != '#')];
    }

    private static GossipKeyFile FileAt(string path) => new(path, "key file");

    private static void Print(GossipKeys keys)
    {
        for (var index = 0; index < keys.Ids.Count; index++)
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{keys.Ids[index]}{(index == 0 ? "  encrypts and decrypts" : "  decrypts")}"));
    }
}
