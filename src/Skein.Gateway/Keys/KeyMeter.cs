namespace Skein.Gateway.Keys;

/// <summary>
/// Counts what one key uses and refuses new requests when a limit is reached. A running request is never cut. The limits are those of all gateways together,
/// which exchange what they used. Thread-safe.
/// </summary>
internal sealed class KeyMeter
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Day = TimeSpan.FromDays(1);

    private readonly Lock _gate = new();
    private readonly TimeProvider _time;
    private readonly long _origin;
    private readonly KeyPlaces _places;
    private ApiKey _key;
    private TokenBucket? _requests;
    private TokenBucket? _tokens;
    private TokenBucket? _dayTokens;
    private long _allRequests;
    private long _allTokens;
    private double _share;

    /// <summary>Requests that were asked for since the last exchange, refused ones too, and before it, halved with each.</summary>
    private long _asked;
    private double _demand;

    /// <param name="gateways">Those that share the limits; null: this one is alone.</param>
    public KeyMeter(ApiKey key, TimeProvider time, GatewayNames? gateways = null)
    {
        (_key, _time, _origin) = (key, time, time.GetTimestamp());
        gateways ??= GatewayNames.Alone;
        _places = new KeyPlaces(key.Streams, gateways);
        _share = KeyShare.Of(0, 0, gateways.Count);
        Replace(key);
    }

    /// <summary>The time of day.</summary>
    public DateTimeOffset UtcNow => _time.GetUtcNow();

    private TimeSpan Now => _time.GetElapsedTime(_origin);

    /// <summary>Uses the limits of a new version of the key. A limit that did not change keeps its level.</summary>
    public void Use(ApiKey key)
    {
        lock (_gate)
            Replace(key);
    }

    /// <summary>Admits one request, which must be ended by <see cref="End"/>.</summary>
    /// <param name="model">As the client named it; empty if it named none.</param>
    /// <returns>Null, or why it is refused.</returns>
    public KeyRefusal? Begin(string model)
    {
        lock (_gate)
        {
            if (RefusalOf(model) is { } forbidden)
                return forbidden;
            var now = Now;
            _asked++;
            if (_places.Refusal(now) is { } busy)
                return busy;
            // The longest wait: a caller that obeys a shorter one would be refused again.
            var refusal = Longer(
                Refusal(_requests, "requests per minute", now),
                Longer(Refusal(_tokens, "tokens per minute", now), Refusal(_dayTokens, "tokens per day", now)));
            if (refusal is not null)
                return refusal;
            _requests?.Charge(1, now);
            _places.Begin();
            _allRequests++;
            return null;
        }
    }

    /// <summary>Admits a request that starts nothing, because it joins an answer of the same key: only the requests per minute count.</summary>
    /// <returns>Null, or why it is refused.</returns>
    public KeyRefusal? Join(string model)
    {
        lock (_gate)
        {
            if (RefusalOf(model) is { } forbidden)
                return forbidden;
            var now = Now;
            _asked++;
            if (Refusal(_requests, "requests per minute", now) is { } requests)
                return requests;
            _requests?.Charge(1, now);
            _allRequests++;
            return null;
        }
    }

    /// <summary>Whether a request would be refused because of those that run, so that a place of another gateway would help.</summary>
    public bool NeedsPlace
    {
        get
        {
            lock (_gate)
                return _places.AreUsed(Now);
        }
    }

    /// <summary>False: no other gateway had a place a moment ago, and none is to be asked again yet.</summary>
    public bool MaySearchPlace
    {
        get
        {
            lock (_gate)
                return _places.MaySearch(Now);
        }
    }

    /// <summary>All other gateways were asked for a place, and none gave one.</summary>
    public void FoundNoPlace()
    {
        lock (_gate)
            _places.NoneFound(Now);
    }

    /// <summary>Another gateway has given one of its places to this one.</summary>
    public void TakePlace()
    {
        lock (_gate)
            _places.Take(Now);
    }

    /// <summary>Gives one place to another gateway.</summary>
    /// <returns>False: all are used.</returns>
    public bool GivePlace()
    {
        lock (_gate)
            return _places.TryGive(Now);
    }

    public void End()
    {
        lock (_gate)
            _places.End();
    }

    /// <summary>Charges tokens that have arrived. A negative amount corrects an earlier charge.</summary>
    public void Charge(long tokens)
    {
        lock (_gate)
        {
            var now = Now;
            _tokens?.Charge(tokens, now);
            _dayTokens?.Charge(tokens, now);
            _allTokens += tokens;
        }
    }

    public KeyUse Read()
    {
        lock (_gate)
        {
            var now = Now;
            return new KeyUse(_key.Name, _places.Running, _allRequests, _allTokens, WindowOf(_requests, now), WindowOf(_tokens, now));
        }
    }

    /// <summary>What the key has used here, for other gateways.</summary>
    /// <returns>Null: it has no limit.</returns>
    public KeyUseRow? Report()
    {
        lock (_gate)
        {
            if (_requests is null && _tokens is null && _dayTokens is null && _key.Streams is null)
                return null;
            var now = Now;
            var row = new KeyUseRow
            {
                Name = _key.Name, Requests = (ulong)_allRequests, Tokens = _allTokens, Demand = _demand + _asked,
            };
            // Set only where there is one: an unset field is absent.
            if (_requests is not null)
                row.RequestsLeft = _requests.Level(now);
            if (_tokens is not null)
                row.TokensLeft = _tokens.Level(now);
            if (_dayTokens is not null)
                row.DayTokensLeft = _dayTokens.Level(now);
            _places.Report(row, now);
            return row;
        }
    }

    /// <summary>Takes in what other gateways report. Unchecked: it is input from outside.</summary>
    public void Exchange(KeyUseElsewhere elsewhere, GatewayNames gateways)
    {
        lock (_gate)
        {
            var now = Now;
            _requests?.ChargeElsewhere(elsewhere.Requests, now);
            _tokens?.ChargeElsewhere(elsewhere.Tokens, now);
            _dayTokens?.ChargeElsewhere(elsewhere.Tokens, now);
            _requests?.LowerTo(elsewhere.RequestsLeft, now);
            _tokens?.LowerTo(elsewhere.TokensLeft, now);
            _dayTokens?.LowerTo(elsewhere.DayTokensLeft, now);
            _demand = (_demand / 2) + _asked;
            _asked = 0;
            _share = KeyShare.Of(_demand, elsewhere.Demand, elsewhere.Gateways);
            _requests?.Reshare(_share, now);
            _tokens?.Reshare(_share, now);
            _dayTokens?.Reshare(_share, now);
            _places.Exchange(elsewhere, gateways, _demand, now);
        }
    }

    private KeyRefusal? RefusalOf(string model)
    {
        if (_key.Allows(model))
            return null;
        var problem = model.Length > 0
            ? $"model '{model}' is not allowed for this API key"
            : "the request names no model, and this API key is for some only";
        return new KeyRefusal($"{problem}; allowed: {string.Join(", ", _key.Models.Take(16))}", null);
    }

    private static KeyWindow? WindowOf(TokenBucket? bucket, TimeSpan now) =>
        bucket is null ? null : new KeyWindow(bucket.Capacity, bucket.Left(now), bucket.WaitUntilFull(now));

    private static KeyRefusal? Refusal(TokenBucket? bucket, string what, TimeSpan now) =>
        bucket is null || bucket.WaitFor(1, now) is not { Ticks: > 0 } wait ? null
        : new KeyRefusal(string.Create(CultureInfo.InvariantCulture, $"this API key has used its {bucket.Capacity} {what}"), wait);

    private static KeyRefusal? Longer(KeyRefusal? first, KeyRefusal? second) =>
        first is null || second?.RetryAfter > first.RetryAfter ? second : first;

    private void Replace(ApiKey key)
    {
        var now = Now;
        _requests = Bucket(_requests, key.RequestsPerMinute, Minute, now);
        _tokens = Bucket(_tokens, key.TokensPerMinute, Minute, now);
        _dayTokens = Bucket(_dayTokens, key.TokensPerDay, Day, now);
        _places.Use(key.Streams);
        _key = key;
    }

    private TokenBucket? Bucket(TokenBucket? before, long? limit, TimeSpan window, TimeSpan now)
    {
        if (limit is not { } capacity)
            return null;
        if (before?.Capacity == capacity)
            return before;
        var bucket = new TokenBucket(capacity, window, now);
        bucket.Reshare(_share, now);
        return bucket;
    }
}

/// <param name="RetryAfter">When a request is admitted again; null: the key does not allow it at all.</param>
internal sealed record KeyRefusal(string Message, TimeSpan? RetryAfter);

/// <summary>One limit at one moment.</summary>
internal readonly record struct KeyWindow(long Limit, long Remaining, TimeSpan Reset);

/// <summary>What a key has used since the start, and its limits per minute; null: no limit.</summary>
internal sealed record KeyUse(string Name, int Running, long Requests, long Tokens, KeyWindow? RequestWindow, KeyWindow? TokenWindow);
