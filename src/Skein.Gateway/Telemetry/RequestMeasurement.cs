using Skein.Gateway.Keys;

namespace Skein.Gateway.Telemetry;

/// <summary>Measures one request from its arrival to its end, and charges its tokens to its API key. Not thread-safe.</summary>
internal sealed class RequestMeasurement(GatewayMetrics metrics, TimeProvider time, string operation)
{
    private readonly long _arrived = time.GetTimestamp();
    private string? _model;
    private TokenCount _tokens;
    private bool _hasFirstToken;
    private long _firstTokenAt;
    private KeyGrant? _key;

    /// <summary>Counts the request against the limits of its key, and charges its tokens from now on.</summary>
    /// <exception cref="Exception">As <see cref="KeyGrant.Begin"/>.</exception>
    public void ChargeTo(KeyGrant? key, string model)
    {
        key?.Begin(model);
        _key = key;
    }

    /// <summary>The same for a request that begins elsewhere.</summary>
    public void ChargeTo(KeyGrant? key) => _key = key;

    public void Observe(GenerateFrame frame)
    {
        if (frame.Start is { } start)
        {
            _model ??= start.Model;
            metrics.CountStreams(start.ResumeTier, 1);
        }

        if (frame.Count > 0)
            metrics.Tally.CountOutput(frame.Count);
        if (frame.Count > 0 && !_hasFirstToken)
        {
            _hasFirstToken = true;
            _firstTokenAt = time.GetTimestamp();
            metrics.FirstToken(time.GetElapsedTime(_arrived, _firstTokenAt), operation, _model ?? "");
        }

        _tokens.Add(frame);
        _key?.ChargeUpTo(_tokens.Sum);
    }

    public void End(string outcome)
    {
        if (_tokens.Sum - _tokens.Input is > 1 and var answered)
            metrics.Tally.BetweenTokens.Add(time.GetElapsedTime(_firstTokenAt) / (answered - 1));
        metrics.Tally.CountInput(_tokens.Input);
        metrics.Ended(time.GetElapsedTime(_arrived), operation, _model, outcome, _tokens.Input, _tokens.Output);
    }
}
