namespace Skein.Gateway.Telemetry;

/// <summary>Where metrics, traces and logs go beside <c>/metrics</c>. Immutable.</summary>
public sealed record TelemetryOptions
{
    /// <summary>
    /// Address of an OpenTelemetry collector that gets metrics, traces and logs over OTLP. Null (the default): nothing is exported, and requests are not
    /// traced.
    /// </summary>
    public Uri? Otlp { get; init; }

    /// <summary>OTLP over HTTP (protobuf) instead of gRPC. Default false.</summary>
    public bool OtlpOverHttp { get; init; }

    /// <summary>Share of the requests that begin a trace of their own, 0 to 1. Default 1. A client's own decision comes first.</summary>
    public double TraceShare { get; init; } = 1;

    /// <summary>Name of this process in exported data (<c>service.instance.id</c>). Null (the default): host and process id.</summary>
    public string? InstanceId { get; init; }

    /// <summary>Gets one JSON line for each request, without prompts and answers. The caller disposes it. Null (the default): there is no access log.</summary>
    public LineSink? AccessLog { get; init; }

    /// <summary>Other logs whose dropped lines are counted in <c>skein.log.dropped</c>. Default none.</summary>
    public IReadOnlyList<LineSink> Logs { get; init; } = [];

    /// <returns>These options.</returns>
    /// <exception cref="ArgumentException">A value is out of its range.</exception>
    internal TelemetryOptions Checked()
    {
        OptionGuard.Range(TraceShare, 0, 1, nameof(TraceShare));
        OptionGuard.Require(Otlp is null or { Scheme: "http" or "https" }, nameof(Otlp), Otlp, "an http:// or https:// address");
        return this;
    }
}
