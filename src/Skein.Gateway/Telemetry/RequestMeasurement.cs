using System.Diagnostics;
using Skein.Gateway.Keys;

namespace Skein.Gateway.Telemetry;

/// <summary>
/// Measures one request from its arrival to its end, charges its tokens to its API key, and writes its span and its line in the access log. Not thread-safe.
/// </summary>
internal sealed class RequestMeasurement(GatewayMetrics metrics, TimeProvider time, string operation, string requestId)
{
    private readonly long _arrived = time.GetTimestamp();
    private string? _model;
    private string? _askedModel;
    private TokenCount _tokens;
    private TimeSpan? _firstToken;
    private KeyGrant? _key;
    private Activity? _span;
    private IGenerationSession? _session;
    private IEngineCall? _call;

    /// <summary>Begins the span of the request, which becomes the current one. Only while <see cref="RequestTrace.IsOn"/>.</summary>
    /// <param name="parent">The client's traceparent; empty: none.</param>
    /// <param name="state">The client's tracestate.</param>
    public void BeginTrace(string parent, string state) => _span = RequestTrace.Begin(operation, parent, state);

    /// <summary>Gives the engine the request's span as its parent.</summary>
    public void TraceTo(GenerateRequest request)
    {
        if (_span is not null)
            (request.TraceParent, request.TraceState) = (_span.Id, _span.TraceStateString ?? "");
    }

    /// <inheritdoc cref="TraceTo(GenerateRequest)"/>
    public void TraceTo(InvokeRequest request)
    {
        if (_span is not null)
            (request.TraceParent, request.TraceState) = (_span.Id, _span.TraceStateString ?? "");
    }

    /// <summary>The session tells at the end who served the request.</summary>
    public void Follow(IGenerationSession session) => _session = session;

    /// <inheritdoc cref="Follow(IGenerationSession)"/>
    public void Follow(IEngineCall call) => _call = call;

    /// <summary>Counts the request against the limits of its key, and charges its tokens from now on.</summary>
    /// <param name="isBegun">False: the request begins elsewhere, where it is counted.</param>
    /// <exception cref="Exception">As <see cref="KeyGrant.Begin"/>.</exception>
    public void ChargeTo(KeyGrant? key, string model, bool isBegun = true)
    {
        _askedModel = model.Length > 0 ? model : null;
        _key = key;
        if (isBegun)
            key?.Begin(model);
    }

    public void Observe(GenerateFrame frame)
    {
        if (frame.Start is { } start)
        {
            _model ??= start.Model;
            metrics.CountStreams(start.ResumeTier, 1);
        }

        if (frame.Count > 0)
            metrics.Tally.CountOutput(frame.Count);
        if (frame.Count > 0 && _firstToken is null)
        {
            var elapsed = time.GetElapsedTime(_arrived);
            _firstToken = elapsed;
            metrics.FirstToken(elapsed, operation, _model ?? "");
        }

        _tokens.Add(frame);
        _key?.ChargeUpTo(_tokens.Sum);
    }

    public void End(string outcome)
    {
        var elapsed = time.GetElapsedTime(_arrived);
        if (_span is not null)
            EndTrace(_span, outcome);
        metrics.AccessLog?.Write(new AccessEntry(
            requestId, operation, _key?.Name, _askedModel, Replicas(), _session?.Attempts ?? _call?.Attempts ?? 0, _tokens.Input, _tokens.Output,
            _session?.Waited ?? _call?.Waited, _firstToken, elapsed, outcome));
        if (_firstToken is { } first && _tokens.Sum - _tokens.Input is > 1 and var answered)
            metrics.Tally.BetweenTokens.Add((elapsed - first) / (answered - 1));
        metrics.Tally.CountInput(_tokens.Input);
        metrics.Ended(elapsed, operation, _model, outcome, _tokens.Input, _tokens.Output);
    }

    private void EndTrace(Activity span, string outcome)
    {
        if (span.IsAllDataRequested)
        {
            span.DisplayName = _askedModel is null ? operation : $"{operation} {_askedModel}";
            span.SetTag(MetricNames.Operation, operation).SetTag(MetricNames.Provider, MetricNames.ProviderName)
                .SetTag("gen_ai.request.model", _askedModel).SetTag(MetricNames.ResponseModel, _model)
                .SetTag("gen_ai.usage.input_tokens", _tokens.Input).SetTag("gen_ai.usage.output_tokens", _tokens.Output)
                .SetTag("skein.request.id", requestId).SetTag("skein.key", _key?.Name).SetTag("skein.attempts", _session?.Attempts ?? _call?.Attempts ?? 0)
                .SetTag(RequestTrace.ReplicaTag, _session?.Replica ?? _call?.Replica).SetTag("skein.outcome", outcome);
            if (outcome is not (RequestOutcomes.Completed or RequestOutcomes.Cancelled))
                span.SetTag("error.type", outcome).SetStatus(ActivityStatusCode.Error);
        }
        span.Dispose();
    }

    private IEnumerable<string> Replicas()
    {
        if (_call is not null)
            return [_call.Replica];
        if (_session is null)
            return [];
        var left = _session.Failovers.Select(failover => failover.From);
        return (_session.Replica is { } last ? left.Append(last) : left).Distinct(StringComparer.Ordinal);
    }
}
