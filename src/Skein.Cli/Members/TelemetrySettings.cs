using Skein.Cli.Settings;
using Skein.Gateway.Telemetry;

namespace Skein.Cli.Members;

/// <summary>Where a member's metrics, traces and access log go.</summary>
internal static class TelemetrySettings
{
    private const string StandardOutput = "-";
    private const string EndpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT";

    private static readonly Setting<Uri?> Otlp = new(
        "otlp", "url", $"OpenTelemetry collector for metrics, traces and logs [default: {EndpointVariable}, else none]", "an http:// or https:// address", null,
        (string text, out Uri? read) => Uri.TryCreate(text, UriKind.Absolute, out read) && read.Scheme is "http" or "https");

    private static readonly Setting<bool> OtlpOverHttp = Setting.Choice(
        "otlp-protocol", "Protocol of --otlp [default: grpc]", false, ("grpc", false), ("http", true));

    private static readonly Setting<double> TraceShare = Setting.Real(
        "trace-share", "Share of the requests that are traced, unless the client's traceparent decides [default: 1]", 1, 0, 1);

    private static readonly Setting<string?> AccessLogPath = Setting.Text(
        "access-log", "file", "File for one JSON line per request, without prompts and answers; - is standard output");

    public static IReadOnlyList<ISetting> All { get; } = [Otlp, OtlpOverHttp, TraceShare, AccessLogPath];

    /// <summary>Those of a replica, whose traces begin at its gateways.</summary>
    public static IReadOnlyList<ISetting> OfReplicas { get; } = [Otlp, OtlpOverHttp];

    /// <param name="instance">The member's name; empty: it has none yet.</param>
    /// <exception cref="UsageException">A value is not allowed.</exception>
    public static TelemetryOptions Read(SettingSources sources, string instance)
    {
        // Read now, so that a wrong value is reported before anything starts.
        RequireWritable(AccessLogPath.Read(sources));
        return new TelemetryOptions
        {
            Otlp = Otlp.Read(sources) ?? OfEnvironment(),
            OtlpOverHttp = OtlpOverHttp.Read(sources),
            TraceShare = TraceShare.Read(sources),
            InstanceId = instance.Length > 0 ? instance : null,
        };
    }

    /// <summary>Opens the access log.</summary>
    /// <param name="isSupervised">Whether standard output belongs to the supervisor.</param>
    /// <returns>Null: there is none.</returns>
    /// <exception cref="UsageException">It cannot be written.</exception>
    public static LineSink? OpenAccessLog(SettingSources sources, bool isSupervised)
    {
        if (AccessLogPath.Read(sources) is not { } path)
            return null;
        if (path != StandardOutput)
            return LineSink.ToFile("access", path, Notice, TimeProvider.System);
        return isSupervised
            ? throw new UsageException("--access-log - is not possible under 'skein up', which reads standard output; allowed: a file")
            : new LineSink("access", Console.OpenStandardOutput, Notice, TimeProvider.System);
    }

    private static string Notice(long dropped) => string.Create(CultureInfo.InvariantCulture, $$"""{"dropped":{{dropped}}}""");

    private static Uri? OfEnvironment()
    {
        if (Environment.GetEnvironmentVariable(EndpointVariable) is not { Length: > 0 } text)
            return null;
        return Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https"
            ? url
            : throw new UsageException($"{EndpointVariable} '{text}' is not allowed; allowed: an http:// or https:// address");
    }

    // A full disk is no reason not to start: lines are then dropped and counted.
    private static void RequireWritable(string? path)
    {
        if (path is null or StandardOutput)
            return;
        if (Directory.Exists(path) || !Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(path))))
            throw new UsageException($"--access-log {path} is a folder, or its folder does not exist; allowed: a file that can be written");
        try
        {
            using var file = new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
        }
        catch (UnauthorizedAccessException error)
        {
            throw new UsageException($"--access-log {path} cannot be written: {error.Message}");
        }
        catch (IOException)
        {
            // Such as a full disk.
        }
    }
}
