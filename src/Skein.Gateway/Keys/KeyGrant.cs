namespace Skein.Gateway.Keys;

/// <summary>The key of one request, as a feature of its <see cref="HttpContext"/>. Ends with the response. Not thread-safe.</summary>
internal sealed class KeyGrant(ApiKey key, KeyMeter meter) : IDisposable
{
    private KeyCharge? _charge;

    public string Name => Key.Name;

    public bool IsAdmin => Key.Admin;

    private ApiKey Key => key;

    /// <summary>Counts the request against the limits of its key, unless it runs already. Called before anything is sent.</summary>
    /// <exception cref="FaultException">The key does not allow the model, or has reached a limit.</exception>
    public void Begin(string model)
    {
        if (_charge is not null)
            return;
        Check(meter.Begin(model));
        _charge = new KeyCharge(meter);
    }

    /// <summary>Whether the key allows the model.</summary>
    public bool Allows(string model) => Key.Allows(model);

    /// <summary>Whether the request would be refused because of others of its key that run. A place of another gateway helps.</summary>
    public bool NeedsPlace => meter.NeedsPlace;

    /// <summary>See <see cref="KeyMeter.TakePlace"/>.</summary>
    public void TakePlace() => meter.TakePlace();

    /// <summary>See <see cref="KeyMeter.MaySearchPlace"/>.</summary>
    public bool MaySearchPlace => meter.MaySearchPlace;

    /// <summary>See <see cref="KeyMeter.FoundNoPlace"/>.</summary>
    public void FoundNoPlace() => meter.FoundNoPlace();

    /// <summary>The request joins an answer that is paid for: it only counts as a request.</summary>
    /// <exception cref="FaultException">The key does not allow the model, or has reached its requests per minute.</exception>
    public void Join(string model) => Check(meter.Join(model));

    /// <summary>Hands the request over to an answer that may go on after its response. The caller disposes what it gets.</summary>
    /// <returns>Null if the request has not begun.</returns>
    public KeyCharge? HandOver()
    {
        var charge = _charge;
        _charge = null;
        return charge;
    }

    /// <summary>Charges the tokens of the request so far, prompt included. A request that was handed over is charged elsewhere.</summary>
    public void ChargeUpTo(long tokens) => _charge?.UpTo(tokens);

    /// <summary>Makes the request one of this key's: its tenant, and no priority class that is more urgent than the key's.</summary>
    /// <param name="grant">Null, without keys, changes nothing.</param>
    public static void Apply(KeyGrant? grant, GenerateRequest request)
    {
        if (grant is null)
            return;
        request.Priority = PriorityOf(grant, request.Priority);
        // The key and not the header: a client could spell that in many ways, and have the share of many tenants.
        request.Tenant = grant.Name;
    }

    /// <returns>The priority class of a request that asked for <paramref name="asked"/>.</returns>
    /// <param name="grant">Null, without keys, allows every class.</param>
    public static int PriorityOf(KeyGrant? grant, int asked) => grant?.Key.PriorityOf(asked) ?? asked;

    /// <summary>Adds the headers that official clients read.</summary>
    public void WriteHeaders(IHeaderDictionary headers)
    {
        var use = meter.Read();
        Write(headers, "requests", use.RequestWindow);
        Write(headers, "tokens", use.TokenWindow);
    }

    public void Dispose() => HandOver()?.Dispose();

    private static void Check(KeyRefusal? refused)
    {
        if (refused is { } refusal)
            throw new FaultException(refusal.RetryAfter is null ? Fault.KeyForbidsModel : Fault.KeyLimit, refusal.Message, retryAfter: refusal.RetryAfter);
    }

    // Under the names of OpenAI and of Anthropic: https://platform.openai.com/docs/guides/rate-limits, https://docs.anthropic.com/en/api/rate-limits
    private void Write(IHeaderDictionary headers, string what, KeyWindow? window)
    {
        if (window is not { } known)
            return;
        var (limit, left) = (known.Limit.ToString(CultureInfo.InvariantCulture), known.Remaining.ToString(CultureInfo.InvariantCulture));
        headers[$"x-ratelimit-limit-{what}"] = limit;
        headers[$"x-ratelimit-remaining-{what}"] = left;
        headers[$"x-ratelimit-reset-{what}"] = string.Create(CultureInfo.InvariantCulture, $"{known.Reset.TotalSeconds:0.###}s");
        headers[$"anthropic-ratelimit-{what}-limit"] = limit;
        headers[$"anthropic-ratelimit-{what}-remaining"] = left;
        // RFC 3339, not before the window is full: clients wait until then.
        headers[$"anthropic-ratelimit-{what}-reset"] = meter.UtcNow.Add(known.Reset).AddTicks(TimeSpan.TicksPerSecond - 1)
            .ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
    }
}

/// <summary>One request that runs at the expense of its key, until disposed. Not thread-safe.</summary>
internal sealed class KeyCharge(KeyMeter meter) : IDisposable
{
    private long _charged;
    private bool _isOver;

    /// <summary>Charges the tokens of the request so far, prompt included.</summary>
    public void UpTo(long tokens)
    {
        if (tokens == _charged)
            return;
        meter.Charge(tokens - _charged);
        _charged = tokens;
    }

    public void Dispose()
    {
        if (!_isOver)
            meter.End();
        _isOver = true;
    }
}
