namespace Skein.Gateway.Keys;

/// <summary>
/// The requests of one key that may run on this gateway at the same time: its part of the key's limit. A gateway whose places are used takes one of another
/// gateway. Not thread-safe.
/// </summary>
internal sealed class KeyPlaces
{
    /// <summary>
    /// How long a place that was taken counts: until all gateways have reported, and the first one has divided what they hold. The one that gave it waits
    /// longer, so that the place is never used twice.
    /// </summary>
    private static readonly TimeSpan TakenFor = TokenBucket.ExchangePeriod * 5;

    private static readonly TimeSpan GivenFor = TokenBucket.ExchangePeriod * 6;

    /// <summary>
    /// How long no other gateway is asked after none had a place: a client that does not wait cannot make the gateways ask each other all the time.
    /// </summary>
    private static readonly TimeSpan SearchPause = TokenBucket.ExchangePeriod * 0.1;

    private static readonly Dictionary<string, KeyUseRow> NoRows = [];

    private int? _limit;
    private GatewayNames _gateways;
    private int _running;
    private long _runningElsewhere;
    private int _most;

    /// <summary>After places were moved between two gateways: how many requests may run here at least, and at most, for some seconds.</summary>
    private (int Most, TimeSpan Until) _taken;
    private (int Most, TimeSpan Until) _given;
    private TimeSpan _pausedUntil;

    /// <summary>What this gateway grants to others, and how; null: it is not the first by name.</summary>
    private StreamGrants? _grants;
    private Dictionary<string, int>? _granted;

    /// <param name="limit">Of all gateways together; null: there is none.</param>
    public KeyPlaces(int? limit, GatewayNames gateways)
    {
        (_limit, _gateways) = (limit, gateways);
        HoldPart();
    }

    /// <summary>Requests of the key that run on this gateway.</summary>
    public int Running => _running;

    /// <summary>Uses another limit, of which this gateway has its part until the gateways have divided it. The same limit changes nothing.</summary>
    public void Use(int? limit)
    {
        if (limit == _limit)
            return;
        _limit = limit;
        HoldPart();
    }

    /// <summary>Begins a request, which must be one that <see cref="Refusal"/> does not refuse.</summary>
    public void Begin() => _running++;

    public void End() => _running--;

    /// <returns>Null if a request may begin, else why it may not.</returns>
    public KeyRefusal? Refusal(TimeSpan now)
    {
        if (_limit is not { } limit || !IsFull(limit, now))
            return null;
        var running = _running + _runningElsewhere;
        var here = running < limit ? $", of which {MostHere(now)} on this gateway now" : null;
        return new KeyRefusal($"this API key has {running} requests running; allowed at the same time: {limit}{here}", TimeSpan.FromSeconds(1));
    }

    /// <summary>Whether a request would be refused because of those that run, so that a place of another gateway would help.</summary>
    public bool AreUsed(TimeSpan now) => _gateways.Count > 1 && _limit is { } limit && IsFull(limit, now);

    /// <summary>Another gateway has given one of its places to this one.</summary>
    public void Take(TimeSpan now)
    {
        _taken = (MostHere(now) + 1, now + TakenFor);
        _given.Most = Math.Max(_given.Most, _taken.Most);
    }

    /// <summary>No other gateway had a place.</summary>
    public void NoneFound(TimeSpan now) => _pausedUntil = now + SearchPause;

    /// <summary>False: no other gateway had a place a moment ago.</summary>
    public bool MaySearch(TimeSpan now) => now >= _pausedUntil;

    /// <summary>Gives one place to another gateway.</summary>
    /// <returns>False: all are used, or there is no limit.</returns>
    public bool TryGive(TimeSpan now)
    {
        if (_limit is null || _running >= MostHere(now))
            return false;
        _given = (MostHere(now) - 1, now + GivenFor);
        _taken.Most = Math.Min(_taken.Most, _given.Most);
        return true;
    }

    /// <summary>Writes what other gateways need to know.</summary>
    public void Report(KeyUseRow row, TimeSpan now)
    {
        row.Running = (uint)_running;
        // Set only where there is one: an unset field is absent.
        if (_limit is not null)
            row.StreamsHeld = (uint)Held(now);
        foreach (var (name, count) in _granted ?? [])
            row.StreamsGranted[name] = (uint)count;
    }

    /// <summary>Takes in what other gateways report. Unchecked: it is input from outside.</summary>
    /// <param name="demand">Requests that were asked for here lately.</param>
    public void Exchange(KeyUseElsewhere elsewhere, GatewayNames gateways, double demand, TimeSpan now)
    {
        (_runningElsewhere, _gateways) = (elsewhere.Running, gateways);
        if (_limit is not { } limit)
            return;
        var rows = elsewhere.Rows ?? NoRows;
        if (_gateways.Count == 1 || !_gateways.IsFirst)
        {
            HoldPart();
            // The first gateway has no row of a key that nobody has used yet, and one of an older release grants nothing: then each has its part.
            if (_gateways.Count > 1 && rows.TryGetValue(_gateways.Names[0], out var first) && first.StreamsGranted.TryGetValue(_gateways.Self, out var mine))
                _most = (int)Math.Min(mine, limit);
            return;
        }
        _grants ??= new StreamGrants();
        _granted = _grants.Divide(limit, [.. _gateways.Names.Select((name, index) =>
            index == _gateways.Index ? new StreamHolder(name, _running, Held(now), demand) : HolderOf(name, _gateways.PartOf(limit, index), rows))]);
        _most = _granted[_gateways.Self];
    }

    /// <summary>Requests that this gateway may have running until the next exchange.</summary>
    private int Held(TimeSpan now) => Math.Max(_running, MostHere(now));

    private int MostHere(TimeSpan now)
    {
        var most = now < _given.Until ? Math.Min(_most, _given.Most) : _most;
        return now < _taken.Until ? Math.Max(most, _taken.Most) : most;
    }

    // What others reported may be old: a place that one of them gave is free whatever it was.
    private bool IsFull(int limit, TimeSpan now) => _running >= MostHere(now) || (now >= _taken.Until && _running + _runningElsewhere >= limit);

    private void HoldPart()
    {
        (_grants, _granted) = (null, null);
        _most = _limit is { } limit ? _gateways.PartOf(limit, _gateways.Index) : int.MaxValue;
    }

    /// <param name="part">What it holds if it does not say.</param>
    private static StreamHolder HolderOf(string name, int part, IReadOnlyDictionary<string, KeyUseRow> rows)
    {
        if (!rows.TryGetValue(name, out var row))
            return new StreamHolder(name, 0, part, 0);
        var running = Math.Min(row.Running, int.MaxValue);
        var held = row.HasStreamsHeld ? (int)Math.Min(row.StreamsHeld, int.MaxValue) : part;
        return new StreamHolder(name, running, Math.Max(running, held), double.IsFinite(row.Demand) ? Math.Max(0, row.Demand) : 0);
    }
}
