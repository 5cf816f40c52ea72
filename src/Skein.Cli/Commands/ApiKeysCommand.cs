using Skein.Cli.Members;
using Skein.Cli.Settings;
using Skein.Cli.Terminal;
using Skein.Gateway.Keys;

namespace Skein.Cli.Commands;

/// <summary><c>skein api-keys</c>: edits the key file that gateways read with <c>--api-key-file</c>.</summary>
internal static class ApiKeysCommand
{
    private static readonly Argument<string> KeyFile = new("file") { Description = "The key file; 'new' creates it" };
    private static readonly Argument<string> KeyName = new("name") { Description = "Name of a key, as printed by 'list'" };

    private static readonly Setting<string?> Name = Setting.Text("name", "name", "Name of the key in logs, metrics and lists; unique").Of("apiKeys");
    private static readonly Setting<bool> Admin = Setting.Flag("admin", "Allow /admin and /metrics too; keys of --admin-key-file always do");
    private static readonly Setting<MetricsAccess> Metrics = Setting.Choice(
        "metrics", "Allow /metrics without admin rights: also, beside the APIs, or only [default: no]", MetricsAccess.No,
        ("no", MetricsAccess.No), ("also", MetricsAccess.Also), ("only", MetricsAccess.Only)).Of("apiKeys");

    private static readonly Setting<IReadOnlyList<string>> Models = Setting.List(
        "models", "name", "Models that the key may ask for [default: all]", "names of models", 64, name => name.Length > 0);

    private static readonly Setting<int?> Requests = Setting.OptionalNumber("requests-per-minute", "Requests per minute [default: no limit]", 1, 1_000_000);
    private static readonly Setting<int?> Tokens = Setting.OptionalNumber(
        "tokens-per-minute", "Prompt and completion tokens per minute [default: no limit]", 1, 1_000_000_000);

    private static readonly Setting<int?> DayTokens = Setting.OptionalNumber(
        "tokens-per-day", "Prompt and completion tokens per 24 hours [default: no limit]", 1, int.MaxValue);

    private static readonly Setting<int?> MaxPriority = Setting.OptionalNumber(
        "max-priority", "Most urgent priority class of its requests, where -8 is the most urgent [default: any]", -8, 8);

    private static readonly Setting<int?> Streams = Setting.OptionalNumber("streams", "Requests at the same time [default: no limit]", 1, 100_000);

    public static Command Create() => new("api-keys", """
        Create, list and revoke the API keys of clients

        The file holds hashes, never the keys. Gateways reload it within a second.
        """)
    {
        CommandLine.Verb(
            "new", "Add a key to the file and print it: it cannot be shown again",
            [Name, Admin, Metrics, Models, Requests, Tokens, DayTokens, Streams, MaxPriority], NewAsync, KeyFile),
        CommandLine.Verb("list", "Print the names and limits of the keys", [], List, KeyFile),
        CommandLine.Verb("revoke", "Remove a key: its next request is refused", [], Revoke, KeyFile, KeyName),
    };

    private static async Task<int> NewAsync(SettingSources sources)
    {
        var path = sources.Get(KeyFile);
        using var locked = await PrivateFile.LockAsync(path, mayBeNew: true);
        var file = new ApiKeyFile(path, "key file");
        var keys = File.Exists(path) ? file.Read().Keys : [];
        var secret = ApiKey.NewSecret();
        var key = new ApiKey
        {
            Name = Name.Read(sources) ?? throw new UsageException("--name is missing; allowed: 1 to 64 letters, digits, '.', '_' or '-'"),
            Hash = ApiKey.HashOf(secret), Admin = Admin.Read(sources), Metrics = Metrics.Read(sources), Models = Models.Read(sources),
            RequestsPerMinute = Requests.Read(sources),
            TokensPerMinute = Tokens.Read(sources), TokensPerDay = DayTokens.Read(sources), Streams = Streams.Read(sources),
            MaxPriority = MaxPriority.Read(sources),
        };
        try
        {
            file.Write(new ApiKeyRing([.. keys, key]));
        }
        catch (ArgumentException error)
        {
            throw new UsageException(error.Message);
        }
        await Console.Out.WriteLineAsync(secret);
        await Console.Error.WriteLineAsync(
            $"key '{key.Name}' is in {path}; start gateways with --api-key-file {path}, or --admin-key-file for a file of administrators");
        return CommandLine.Success;
    }

    private static Task<int> List(SettingSources sources)
    {
        foreach (var key in new ApiKeyFile(sources.Get(KeyFile), "key file").Read().Keys)
            Console.WriteLine($"{key.Name}  {Describe(key)}");
        return Task.FromResult(CommandLine.Success);
    }

    private static async Task<int> Revoke(SettingSources sources)
    {
        var (path, name) = (sources.Get(KeyFile), sources.Get(KeyName));
        using var locked = await PrivateFile.LockAsync(path);
        var file = new ApiKeyFile(path, "key file");
        var keys = file.Read().Keys;
        if (keys.All(key => key.Name != name))
            throw new UsageException($"key '{name}' is not in {path}; allowed: {string.Join(", ", keys.Select(key => key.Name))}");
        file.Write(new ApiKeyRing([.. keys.Where(key => key.Name != name)]));
        await Console.Out.WriteLineAsync($"key '{name}' is revoked");
        return CommandLine.Success;
    }

    private static string Describe(ApiKey key)
    {
        string?[] parts =
        [
            key.Admin ? "admin" : null, key.Metrics is MetricsAccess.No ? null : key.Metrics is MetricsAccess.Only ? "metrics only" : "metrics",
            key.Models.Count > 0 ? $"models {string.Join(", ", key.Models)}" : "all models",
            Limit(key.RequestsPerMinute, "requests/min"), Limit(key.TokensPerMinute, "tokens/min"), Limit(key.TokensPerDay, "tokens/day"),
            Limit(key.Streams, "at the same time"),
            key.MaxPriority is { } most ? string.Create(CultureInfo.InvariantCulture, $"priority from {most}") : null,
        ];
        return string.Join(" · ", parts.OfType<string>());
    }

    private static string? Limit(long? value, string what) => value is { } limit ? string.Create(CultureInfo.InvariantCulture, $"{limit} {what}") : null;
}
