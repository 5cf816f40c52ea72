namespace Skein.Gateway.Keys;

/// <summary>The key of one request, as a feature of its <see cref="HttpContext"/>. Ends with the response. Not thread-safe.</summary>
internal sealed class KeyGrant(ApiKey key, KeyMeter meter) : IDisposable
{
    private bool _isRunning;
    private long _charged;

    public string Name => key.Name;

    public bool IsAdmin => key.Admin;

    /// <summary>Counts the request against the limits of its key. Called once, before anything is sent.</summary>
    /// <exception cref="FaultException">The key does not allow the model, or has reached a limit.</exception>
    public void Begin(string model)
    {
        if (meter.Begin(model) is { } refusal)
            throw new FaultException(refusal.RetryAfter is null ? Fault.KeyForbidsModel : Fault.KeyLimit, refusal.Message, retryAfter: refusal.RetryAfter);
        _isRunning = true;
    }

    /// <summary>Charges the tokens of the request so far, prompt included.</summary>
    public void ChargeUpTo(long tokens)
    {
        if (tokens == _charged)
            return;
        meter.Charge(tokens - _charged);
        _charged = tokens;
    }

    /// <summary>Adds the headers that official clients read.</summary>
    public void WriteHeaders(IHeaderDictionary headers)
    {
        var use = meter.Read();
        Write(headers, "requests", use.RequestWindow);
        Write(headers, "tokens", use.TokenWindow);
    }

    public void Dispose()
    {
        if (_isRunning)
            meter.End();
        _isRunning = false;
    }

    // Under the names of OpenAI and of Anthropic: https://platform.openai.com/docs/guides/rate-limits, https://docs.anthropic.com/en/api/rate-limits
    private static void Write(IHeaderDictionary headers, string what, KeyWindow? window)
    {
        if (window is not { } known)
            return;
        var (limit, left) = (known.Limit.ToString(CultureInfo.InvariantCulture), known.Remaining.ToString(CultureInfo.InvariantCulture));
        headers[$"x-ratelimit-limit-{what}"] = limit;
        headers[$"x-ratelimit-remaining-{what}"] = left;
        headers[$"x-ratelimit-reset-{what}"] = string.Create(CultureInfo.InvariantCulture, $"{known.Reset.TotalSeconds:0.###}s");
        headers[$"anthropic-ratelimit-{what}-limit"] = limit;
        headers[$"anthropic-ratelimit-{what}-remaining"] = left;
    }
}
