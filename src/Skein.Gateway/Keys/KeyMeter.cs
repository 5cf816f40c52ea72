namespace Skein.Gateway.Keys;

/// <summary>
/// Counts what one key uses and refuses new requests when a limit is reached. A running request is never cut. The limits are those of all gateways together,
/// which exchange what they used. Thread-safe.
/// </summary>
internal sealed class KeyMeter
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Day = TimeSpan.FromDays(1);

    /// <summary>
    /// How long a place that was taken counts: until all gateways have reported, and the first one has divided what they hold. The one that gave it waits
    /// longer, so that the place is never used twice.
    /// </summary>
    private static readonly TimeSpan TakenFor = TokenBucket.ExchangePeriod * 5;

    private static readonly TimeSpan GivenFor = TokenBucket.ExchangePeriod * 6;

    private static readonly Dictionary<string, KeyUseRow> NoRows = [];

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
    private double _share;

    /// <summary>Requests that were asked for since the last exchange, refused ones too, and before it, halved with each.</summary>
    private long _asked;
    private double _demand;

    /// <summary>Requests on other gateways, and how many may run on this one.</summary>
    private long _runningElsewhere;
    private int _mostRunning = int.MaxValue;

    /// <summary>After places were moved between two gateways: how many requests may run here at least, and at most, for some seconds.</summary>
    private (int Most, TimeSpan Until) _taken;
    private (int Most, TimeSpan Until) _given;

    /// <summary>What this gateway grants to others, and how; null: it is not the first by name.</summary>
    private StreamGrants? _grants;
    private Dictionary<string, int>? _granted;
    private GatewayNames _gateways;

    /// <param name="gateways">Those that share the limits; null: this one is alone.</param>
    public KeyMeter(ApiKey key, TimeProvider time, GatewayNames? gateways = null)
    {
        (_key, _time, _origin, _gateways) = (key, time, time.GetTimestamp(), gateways ?? GatewayNames.Alone);
        _share = KeyShare.Of(0, 0, _gateways.Count);
        HoldPart();
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
            if (_key.Streams is { } most && IsFull(most, now))
            {
                var running = _running + _runningElsewhere;
                var here = running < most ? $", of which {MostRunning(now)} on this gateway now" : null;
                return new KeyRefusal($"this API key has {running} requests running; allowed at the same time: {most}{here}", TimeSpan.FromSeconds(1));
            }
            // The longest wait: a caller that obeys a shorter one would be refused again.
            var refusal = Longer(
                Refusal(_requests, "requests per minute", now),
                Longer(Refusal(_tokens, "tokens per minute", now), Refusal(_dayTokens, "tokens per day", now)));
            if (refusal is not null)
                return refusal;
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
                return _gateways.Count > 1 && _key.Streams is { } most && IsFull(most, Now);
        }
    }

    /// <summary>Another gateway has given one of its places to this one.</summary>
    public void TakePlace()
    {
        lock (_gate)
        {
            var now = Now;
            _taken = (MostRunning(now) + 1, now + TakenFor);
            _given.Most = Math.Max(_given.Most, _taken.Most);
        }
    }

    /// <summary>Gives one place to another gateway.</summary>
    /// <returns>False: all are used.</returns>
    public bool GivePlace()
    {
        lock (_gate)
        {
            var now = Now;
            if (_key.Streams is null || _running >= MostRunning(now))
                return false;
            _given = (MostRunning(now) - 1, now + GivenFor);
            _taken.Most = Math.Min(_taken.Most, _given.Most);
            return true;
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
                Name = _key.Name, Requests = (ulong)_allRequests, Tokens = _allTokens, Running = (uint)_running, Demand = _demand + _asked,
            };
            // Set only where there is one: an unset field is absent.
            if (_requests is not null)
                row.RequestsLeft = _requests.Level(now);
            if (_tokens is not null)
                row.TokensLeft = _tokens.Level(now);
            if (_dayTokens is not null)
                row.DayTokensLeft = _dayTokens.Level(now);
            if (_key.Streams is not null)
                row.StreamsHeld = (uint)Held;
            foreach (var (name, count) in _granted ?? [])
                row.StreamsGranted[name] = (uint)count;
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
            _runningElsewhere = elsewhere.Running;
            _gateways = gateways;
            ShareStreams(elsewhere.Rows ?? NoRows);
        }
    }

    /// <summary>Requests that this gateway may have running until the next exchange.</summary>
    private int Held => Math.Max(_running, MostRunning(Now));

    private int MostRunning(TimeSpan now)
    {
        var most = now < _given.Until ? Math.Min(_mostRunning, _given.Most) : _mostRunning;
        return now < _taken.Until ? Math.Max(most, _taken.Most) : most;
    }

    // What others reported may be old: a place that one of them gave is free whatever it was.
    private bool IsFull(int most, TimeSpan now) => _running >= MostRunning(now) || (now >= _taken.Until && _running + _runningElsewhere >= most);

    private void HoldPart()
    {
        (_grants, _granted) = (null, null);
        if (_key.Streams is { } most)
            _mostRunning = _gateways.PartOf(most, _gateways.Index);
    }

    private void ShareStreams(IReadOnlyDictionary<string, KeyUseRow> rows)
    {
        if (_key.Streams is not { } most)
            return;
        if (_gateways.Count == 1 || !_gateways.IsFirst)
        {
            HoldPart();
            // The first gateway has no row of a key that nobody has used yet, and one of an older release grants nothing: then each has its part.
            if (_gateways.Count > 1 && rows.TryGetValue(_gateways.Names[0], out var first) && first.StreamsGranted.TryGetValue(_gateways.Self, out var mine))
                _mostRunning = (int)Math.Min(mine, most);
            return;
        }
        _grants ??= new StreamGrants();
        _granted = _grants.Divide(most, [.. _gateways.Names.Select((name, index) => HolderOf(name, index, rows, most))]);
        _mostRunning = _granted[_gateways.Self];
    }

    private StreamHolder HolderOf(string name, int index, IReadOnlyDictionary<string, KeyUseRow> rows, int most)
    {
        if (index == _gateways.Index)
            return new StreamHolder(name, _running, Held, _demand);
        var part = _gateways.PartOf(most, index);
        if (!rows.TryGetValue(name, out var row))
            return new StreamHolder(name, 0, part, 0);
        var running = Math.Min(row.Running, int.MaxValue);
        var held = row.HasStreamsHeld ? (int)Math.Min(row.StreamsHeld, int.MaxValue) : part;
        return new StreamHolder(name, running, Math.Max(running, held), double.IsFinite(row.Demand) ? Math.Max(0, row.Demand) : 0);
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

    private static KeyRefusal? Longer(KeyRefusal? first, KeyRefusal? second) =>
        first is null || second?.RetryAfter > first.RetryAfter ? second : first;

    private void Replace(ApiKey key)
    {
        var now = Now;
        _requests = Bucket(_requests, key.RequestsPerMinute, Minute, now);
        _tokens = Bucket(_tokens, key.TokensPerMinute, Minute, now);
        _dayTokens = Bucket(_dayTokens, key.TokensPerDay, Day, now);
        var hasOtherStreams = _key.Streams != key.Streams;
        _key = key;
        if (hasOtherStreams)
            HoldPart();
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
