namespace Skein.Gateway.Keys;

/// <summary>Counts what one key uses and refuses new requests when a limit is reached. A running request is never cut. Thread-safe.</summary>
internal sealed class KeyMeter
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Day = TimeSpan.FromDays(1);

    private readonly Lock _gate = new();
    private readonly TimeProvider _time;
    private readonly long _origin;
    private ApiKey _key;
    private TokenBucket? _requests;
    private TokenBucket? _tokens;
    private TokenBucket? _dayTokens;
    private long _allRequests;
    private long _allTokens;
    private int _running;

    public KeyMeter(ApiKey key, TimeProvider time)
    {
        (_key, _time, _origin) = (key, time, time.GetTimestamp());
        Replace(key);
    }

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
            if (_key.Streams is { } most && _running >= most)
                return new KeyRefusal($"this API key has {_running} requests running; allowed at the same time: {most}", TimeSpan.FromSeconds(1));
            if (Refusal(_requests, "requests per minute", now) is { } requests)
                return requests;
            if (Refusal(_tokens, "tokens per minute", now) is { } tokens)
                return tokens;
            if (Refusal(_dayTokens, "tokens per day", now) is { } day)
                return day;
            _requests?.Charge(1, now);
            _running++;
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
            if (Refusal(_requests, "requests per minute", now) is { } requests)
                return requests;
            _requests?.Charge(1, now);
            _allRequests++;
            return null;
        }
    }

    public void End()
    {
        lock (_gate)
            _running--;
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
            return new KeyUse(_key.Name, _running, _allRequests, _allTokens, WindowOf(_requests, now), WindowOf(_tokens, now));
        }
    }

    private KeyRefusal? RefusalOf(string model)
    {
        if (_key.Models.Count == 0 || _key.Models.Contains(model))
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

    private void Replace(ApiKey key)
    {
        var now = Now;
        _requests = Bucket(_requests, key.RequestsPerMinute, Minute, now);
        _tokens = Bucket(_tokens, key.TokensPerMinute, Minute, now);
        _dayTokens = Bucket(_dayTokens, key.TokensPerDay, Day, now);
        _key = key;
    }

    private static TokenBucket? Bucket(TokenBucket? before, long? limit, TimeSpan window, TimeSpan now) =>
        limit is not { } capacity ? null : before?.Capacity == capacity ? before : new TokenBucket(capacity, window, now);
}

/// <param name="RetryAfter">When a request is admitted again; null: the key does not allow it at all.</param>
internal sealed record KeyRefusal(string Message, TimeSpan? RetryAfter);

/// <summary>One limit at one moment.</summary>
internal readonly record struct KeyWindow(long Limit, long Remaining, TimeSpan Reset);

/// <summary>What a key has used since the start, and its limits per minute; null: no limit.</summary>
internal sealed record KeyUse(string Name, int Running, long Requests, long Tokens, KeyWindow? RequestWindow, KeyWindow? TokenWindow);
