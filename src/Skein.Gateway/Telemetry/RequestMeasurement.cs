using Skein.Gateway.Keys;

namespace Skein.Gateway.Telemetry;

/// <summary>Measures one request from its arrival to its end, and charges its tokens to its API key. Not thread-safe.</summary>
internal sealed class RequestMeasurement(GatewayMetrics metrics, TimeProvider time, string operation)
{
    private readonly long _arrived = time.GetTimestamp();
    private string? _model;
    private TokenUnit _unit;
    private long _inputTokens;
    private long _outputTokens;
    private long _chunks;
    private bool _hasFirstToken;
    private long _firstTokenAt;
    private KeyGrant? _key;

    /// <summary>Counts the request against the limits of its key.</summary>
    /// <exception cref="Exception">As <see cref="KeyGrant.Begin"/>.</exception>
    public void ChargeTo(KeyGrant? key, string model)
    {
        key?.Begin(model);
        _key = key;
    }

    public void Observe(GenerateFrame frame)
    {
        if (frame.Start is { } start)
        {
            _model ??= start.Model;
            _unit = start.Unit;
            _inputTokens = start.PromptTokens;
            metrics.CountStreams(start.ResumeTier, 1);
        }

        if (frame.Count > 0)
        {
            metrics.Tally.CountOutput(frame.Count);
            if (_unit == TokenUnit.Token)
                _outputTokens += frame.Count;
            else
                _chunks += frame.Count;
            if (!_hasFirstToken)
            {
                _hasFirstToken = true;
                _firstTokenAt = time.GetTimestamp();
                metrics.FirstToken(time.GetElapsedTime(_arrived, _firstTokenAt), operation, _model ?? "");
            }
        }

        // An engine that sends chunks instead of tokens counts its tokens itself.
        if (_unit == TokenUnit.Chunk && frame.Finish is { Usage: { } usage })
        {
            _inputTokens = usage.PromptTokens;
            _outputTokens += usage.CompletionTokens;
            _chunks = 0;
        }

        // A chunk counts as a token until the engine tells how many it were.
        _key?.ChargeUpTo(_inputTokens + _outputTokens + _chunks);
    }

    public void End(string outcome)
    {
        if (_outputTokens + _chunks > 1)
            metrics.Tally.BetweenTokens.Add(time.GetElapsedTime(_firstTokenAt) / (_outputTokens + _chunks - 1));
        metrics.Tally.CountInput(_inputTokens);
        metrics.Ended(time.GetElapsedTime(_arrived), operation, _model, outcome, _inputTokens, _outputTokens);
    }
}
