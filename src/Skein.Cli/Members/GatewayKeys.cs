using Skein.Cli.Settings;
using Skein.Gateway.Keys;

namespace Skein.Cli.Members;

/// <summary>
/// The keys that a gateway accepts, together: those of a file for clients, of a file for administration and of the environment. The files are read again when
/// they change. Thread-safe.
/// </summary>
internal sealed class GatewayKeys
{
    private const string Content = "API keys";

    private static readonly Setting<string?> ClientPath = Setting.Text(
        "api-key-file", "file", "API keys of clients, see 'skein api-keys'; requests without one are refused; reloaded when the file changes; "
        + $"{SecretVariables.ApiKeyHashes} may hold further ones, in the form of the file").Live();

    private static readonly Setting<string?> AdminPath = Setting.Text(
        "admin-key-file", "file", "API keys of administrators, in a file like --api-key-file: /admin, /metrics and the dashboard's data need one of these, "
        + "whether clients need keys or not; reloaded when the file changes").Live();

    private readonly ApiKeyFile? _clients;
    private readonly ApiKeyFile? _admins;
    private readonly ApiKeyRing? _environment;
    private readonly string _origins;

    private GatewayKeys(string? clients, string? admins, string? environment)
    {
        _clients = clients is null ? null : new ApiKeyFile(clients, ClientPath.Option.Name);
        _admins = admins is null ? null : new ApiKeyFile(admins, AdminPath.Option.Name);
        _environment = environment is null ? null : ParseEnvironment(environment);
        string?[] origins =
        [
            _clients is null ? null : ClientPath.Option.Name, _admins is null ? null : AdminPath.Option.Name,
            _environment is null ? null : SecretVariables.ApiKeyHashes,
        ];
        _origins = string.Join(", ", origins.OfType<string>());
        Ring = Read();
    }

    public static IReadOnlyList<ISetting> All { get; } = [ClientPath, AdminPath];

    /// <summary>All keys, as they were read first.</summary>
    public ApiKeyRing Ring { get; }

    /// <summary>Whether clients need keys; false: only administration does.</summary>
    public bool AreForClients => _clients is not null || _environment is not null;

    /// <summary>Whether administration has a file of its own.</summary>
    public bool HasAdminFile => _admins is not null;

    /// <returns>Null: nobody needs a key.</returns>
    /// <exception cref="UsageException">A file cannot be read, or its content or the variable is not allowed.</exception>
    public static GatewayKeys? Open(SettingSources sources)
    {
        var (clients, admins, environment) = (ClientPath.Read(sources), AdminPath.Read(sources), sources.Secret(SecretVariables.ApiKeyHashes));
        return (clients ?? admins ?? environment) is null ? null : new GatewayKeys(clients, admins, environment);
    }

    /// <summary>What a gateway that this process starts needs as flags. What the environment holds, it inherits.</summary>
    public static IEnumerable<string> FlagsOf(SettingSources sources) =>
        from setting in new[] { ClientPath, AdminPath }
        let path = setting.Read(sources)
        where path is not null
        from word in new[] { setting.Option.Name, Path.GetFullPath(path) }
        select word;

    /// <summary>Checks the files every second and gives changed keys to the gateway. A wrong file is reported once; the old keys stay in use.</summary>
    public IDisposable Follow(IApiKeys keys, TimeProvider time, FileReports reports) => WatchedFile.Follow(
        Content, time, reports, () =>
        {
            if (_clients?.HasChanged != true && _admins?.HasChanged != true)
                return false;
            keys.Use(Read());
            return true;
        });

    private static ApiKeyRing ParseEnvironment(string text)
    {
        try
        {
            return ApiKeyRing.Parse(text);
        }
        catch (FormatException error)
        {
            throw new UsageException(
                $"{SecretVariables.ApiKeyHashes} is no valid JSON: {error.Message}; allowed: the content of a file that 'skein api-keys new' has written");
        }
        catch (ArgumentException error) when (error.InnerException is JsonException json)
        {
            // Without the path: who sets a key instead of its hash would find it in the log.
            throw new UsageException(
                $"{SecretVariables.ApiKeyHashes} has a member or value that is not allowed, line {json.LineNumber + 1}, byte {json.BytePositionInLine + 1}; "
                + "allowed: the content of a file that 'skein api-keys new' has written");
        }
        catch (ArgumentException error)
        {
            throw new UsageException($"{SecretVariables.ApiKeyHashes}: {error.Message}");
        }
    }

    private ApiKeyRing Read()
    {
        var clients = (_clients?.Read().Keys ?? []).Concat(_environment?.Keys ?? []).ToList();
        var admins = (_admins?.Read().Keys ?? []).Select(key => key.Metrics == MetricsAccess.Only ? key : key with { Admin = true });
        if (HasAdminFile && clients.FirstOrDefault(key => key.Admin) is { } admin)
        {
            throw new UsageException(
                $"key '{admin.Name}' has admin rights and is not of {AdminPath.Option.Name}; allowed: with that file, administrators are in it only");
        }
        try
        {
            return new ApiKeyRing([.. clients, .. admins]) { IsOpenToClients = !AreForClients };
        }
        catch (ArgumentException error)
        {
            throw new UsageException($"{_origins}: {error.Message}");
        }
    }
}
