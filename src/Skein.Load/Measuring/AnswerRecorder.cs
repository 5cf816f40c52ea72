namespace Skein.Load.Measuring;

/// <summary>Records one answer as it arrives. Not thread-safe.</summary>
internal sealed class AnswerRecorder(TimeProvider time, LatencyRecorder latencies)
{
    // More than the largest max_tokens yields; limits the memory that an endless answer can use.
    private const int MaxChars = 16 << 20;

    private readonly StringBuilder _text = new();
    private readonly Dictionary<uint, TimeSpan> _gapBefore = [];
    private readonly long _start = time.GetTimestamp();
    private long _last;
    private TimeSpan _longestGap;
    private uint? _arriving;
    private uint _nextIndex;
    private int _chunks;
    private int? _usage;
    private FailoverNote _failovers = FailoverNote.None;
    private bool _isFinished;
    private bool _isDone;

    public string Text => _text.ToString();

    /// <summary>Token count from the server's usage; without usage, the number of arrivals.</summary>
    public int Tokens => _usage ?? _chunks;

    public bool HasUsage => _usage is not null;

    /// <summary>True if the answer has a finish reason and an end marker.</summary>
    public bool IsComplete => _isFinished && _isDone;

    public int Failovers => _failovers.Count;

    public void OnTokens(string text)
    {
        var now = time.GetTimestamp();
        if (_chunks++ == 0)
            latencies.FirstToken.Add(time.GetElapsedTime(_start, now));
        else
        {
            var gap = time.GetElapsedTime(_last, now);
            _longestGap = gap > _longestGap ? gap : _longestGap;
            latencies.Gaps.Add(gap);
            if (_arriving is { } index)
                _gapBefore[index] = gap;
        }

        _last = now;
        OnText(text);
    }

    /// <summary>The server announced the indexes of the tokens that arrive next.</summary>
    public void OnIndexes(uint first, uint count)
    {
        if (first != _nextIndex)
        {
            throw new BenchRequestException(
                first > _nextIndex ? BenchErrors.TokensLost : BenchErrors.TokensDuplicated, $"token {first} arrived, token {_nextIndex} was expected");
        }

        _arriving = first;
        _nextIndex = first + count;
    }

    /// <summary>Text without a token arrived, which the server had delayed.</summary>
    public void OnText(string text)
    {
        if (_text.Length + text.Length > MaxChars)
            throw new BenchRequestException(BenchErrors.Malformed, $"the answer has more than {MaxChars} characters");
        _text.Append(text);
    }

    public void OnUsage(int completionTokens) => _usage = completionTokens;

    public void OnFinish() => _isFinished = true;

    public void OnDone() => _isDone = true;

    /// <summary>The server reported failovers. Counts are cumulative, so the note with the highest count is complete.</summary>
    public void OnFailovers(FailoverNote note) => _failovers = note.Count > _failovers.Count ? note : _failovers;

    public void OnSuccess()
    {
        latencies.Ends.Add(time.GetElapsedTime(_start));
        if (Failovers > 0)
            latencies.FailedOver.Add(_longestGap);
        foreach (var index in _failovers.Indexes.Distinct())
        {
            if (_gapBefore.TryGetValue(index, out var gap))
                latencies.Failovers.Add(gap);
        }
    }
}
