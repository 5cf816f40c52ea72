using Microsoft.Extensions.Logging;
using Skein.Cli.Members;
using Skein.Gateway;

namespace Skein.Cli.Configuration;

/// <summary>
/// Follows the configuration file of a running gateway: a valid change is applied as a whole, and a refused one changes nothing. Reads and applies in one
/// thread at a time.
/// </summary>
internal sealed partial class GatewayReload : IDisposable
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    /// <summary>Longest wait for the streams of an upstream that was removed.</summary>
    private static readonly TimeSpan RemovalTimeout = TimeSpan.FromMinutes(10);

    private readonly GatewayApp _gateway;
    private readonly Func<GatewayConfiguration, GatewayConfiguration> _read;
    private readonly ILogger _logger;
    private readonly FileReports _reports;
    private readonly Lock _gate = new();
    private GatewayConfiguration _current;
    private byte[] _seen;
    private TimeProvider? _time;
    private ITimer? _timer;
    private IDisposable? _followingKeys;
    private string? _refusal;
    private bool _isDisposed;

    /// <param name="current">The configuration that the gateway was built with.</param>
    /// <param name="read">Reads the file again, given the configuration in use.</param>
    public GatewayReload(
        GatewayApp gateway, GatewayConfiguration current, ILogger logger, Func<GatewayConfiguration, GatewayConfiguration> read)
    {
        (_gateway, _current, _logger, _read) = (gateway, current, logger, read);
        _seen = current.Sources.FileBytes;
        _reports = new FileReports(logger, gateway.Configuration);
    }

    /// <summary>Looks at the file every second, and at the key files that it names.</summary>
    public void Follow(TimeProvider time)
    {
        _time = time;
        _followingKeys = _current.Keys?.Follow(_gateway.Keys, time, _reports);
        if (_current.Sources.Path is not null)
            _timer = time.CreateTimer(_ => Check(), null, Period, Period);
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _isDisposed = true;
            _timer?.Dispose();
            _followingKeys?.Dispose();
        }
    }

    /// <summary>Applies the file if it has changed since it was read last, or was refused: files that it names may have been mended.</summary>
    internal void Check()
    {
        // A check that is slow must not be overtaken by the next one, nor make it wait.
        if (!_gate.TryEnter())
            return;
        try
        {
            if (_isDisposed)
                return;
            if (HasChanged())
                _refusal = null;
            else if (_refusal is null)
                return;
            var next = _read(_current);
            RequireLive(_current, next);
            Apply(next);
            // Those that the gateway was built with: it asks them for the files in use.
            _current = next with { Certificates = _current.Certificates, LinkKeys = _current.LinkKeys };
            _refusal = null;
            _gateway.Configuration.Applied();
            Log.Applied(_logger, next.Sources.Path!);
        }
        catch (Exception error) when (error is UsageException or ArgumentException or IOException or UnauthorizedAccessException)
        {
            if (error.Message == _refusal)
                return;
            _refusal = error.Message;
            _gateway.Configuration.Refused(error.Message);
            Log.Refused(_logger, error.Message);
        }
        finally
        {
            _gate.Exit();
        }
    }

    // By its content: the time of a link to a file, as Kubernetes mounts it, does not change with the file.
    private bool HasChanged()
    {
        byte[] bytes;
        try
        {
            bytes = File.ReadAllBytes(_current.Sources.Path!);
        }
        catch (FileNotFoundException)
        {
            // Between two versions, or gone: what was read stays in use.
            bytes = [];
        }
        if (bytes.AsSpan().SequenceEqual(_seen))
            return false;
        _seen = bytes;
        return true;
    }

    private static void RequireLive(GatewayConfiguration before, GatewayConfiguration next)
    {
        List<string> fixedChanges =
        [
            .. before.Sources.Settings
                .Where(setting => !setting.IsLive && setting.TextOf(before.Sources) != setting.TextOf(next.Sources))
                .Select(setting => $"'{setting.Key}' from {setting.TextOf(before.Sources) ?? "none"} to {setting.TextOf(next.Sources) ?? "none"}"),
        ];
        if (before.Keys?.AreForClients == true && next.Keys?.AreForClients != true)
            fixedChanges.Add("'apiKeyFile' to none, which opens the gateway to clients without a key");
        if (before.Keys?.HasAdminFile == true && next.Keys?.HasAdminFile != true)
            fixedChanges.Add("'adminKeyFile' to none, which changes who may administer the gateway");
        if (before.Certificates is null != next.Certificates is null)
            fixedChanges.Add($"'tlsCert' {(next.Certificates is null ? "to none" : "from none")}: TLS is switched on and off at the start");
        if (before.LinkKeys is null != next.LinkKeys is null)
            fixedChanges.Add($"'linkKeyFile' {(next.LinkKeys is null ? "to none" : "from none")}: link keys are switched on and off at the start");
        if (fixedChanges.Count > 0)
            throw new UsageException($"{next.Sources.Path} changes what needs a restart: {string.Join(", ", fixedChanges)}; nothing of it was applied");
    }

    private void Apply(GatewayConfiguration next)
    {
        // What can refuse the change comes first; what follows cannot fail.
        _gateway.Use(next.Options);
        if (next.Certificates is { } certificates && certificates != _current.Certificates)
            _current.Certificates!.Use(certificates);
        if (next.LinkKeys is { } linkKeys)
            _current.LinkKeys!.Use(linkKeys);
        ApplyUpstreams(next);
        if (next.Keys is { } keys)
        {
            _gateway.Keys.Use(keys.Ring);
            _followingKeys?.Dispose();
            _followingKeys = _time is null ? null : keys.Follow(_gateway.Keys, _time, _reports);
        }
    }

    private void ApplyUpstreams(GatewayConfiguration next)
    {
        HashSet<string> kept = [.. _current.Upstreams.Select(upstream => upstream.Digest)];
        kept.IntersectWith(next.Upstreams.Select(upstream => upstream.Digest));
        foreach (var gone in _current.Upstreams.Where(upstream => !kept.Contains(upstream.Digest)))
            _ = RemoveAsync(gone.Options.Name);
        foreach (var added in next.Upstreams.Where(upstream => !kept.Contains(upstream.Digest)))
            _gateway.Upstreams.Add(added.Options);
    }

    private async Task RemoveAsync(string name)
    {
        try
        {
            await _gateway.Upstreams.RemoveAsync(name, RemovalTimeout, _gateway.Stopping);
        }
        catch (Exception failure) when (failure is not OperationCanceledException)
        {
            Log.NotRemoved(_logger, name, failure);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(4010, LogLevel.Information, "Configuration {Path} has changed and is in use")]
        public static partial void Applied(ILogger logger, string path);

        [LoggerMessage(4011, LogLevel.Error, "The changed configuration is refused, and the one before it stays in use: {Problem}")]
        public static partial void Refused(ILogger logger, string problem);

        [LoggerMessage(4012, LogLevel.Error, "Upstream {Name} could not be removed")]
        public static partial void NotRemoved(ILogger logger, string name, Exception exception);
    }
}
