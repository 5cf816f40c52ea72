using System.Text;

namespace Skein.Load.Measuring;

/// <summary>Takes down one answer as it comes. Used by one task.</summary>
internal sealed class AnswerRecorder(TimeProvider time, LatencyRecorder latencies)
{
    // Far beyond what an answer of the largest max_tokens has; a server that never stops must not fill the memory.
    private const int MostChars = 16 << 20;

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

    /// <summary>The text so far.</summary>
    public string Text => _text.ToString();

    /// <summary>Tokens as the server counted them, else the arrivals.</summary>
    public int Tokens => _usage ?? _chunks;

    public bool HasUsage => _usage is not null;

    /// <summary>Whether the answer has a finish reason and its end mark.</summary>
    public bool IsComplete => _isFinished && _isDone;

    public int Failovers => _failovers.Count;

    /// <summary>Tokens, or a piece of text, have arrived.</summary>
    /// <exception cref="BenchRequestException">The answer is longer than any may be.</exception>
    public void OnTokens(string text)
    {
        var now = time.GetTimestamp();
        if (_chunks++ == 0)
        {
            latencies.AddFirstToken(time.GetElapsedTime(_start, now));
        }
        else
        {
            var gap = time.GetElapsedTime(_last, now);
            _longestGap = gap > _longestGap ? gap : _longestGap;
            latencies.AddGap(gap);
            if (_arriving is { } index)
            {
                _gapBefore[index] = gap;
            }
        }

        _last = now;
        OnText(text);
    }

    /// <summary>The server numbered the tokens that arrive next.</summary>
    /// <exception cref="BenchRequestException">They are not the ones that must follow.</exception>
    public void OnIndexes(uint first, uint count)
    {
        if (first != _nextIndex)
        {
            throw new BenchRequestException(
                first > _nextIndex ? BenchErrors.TokensLost : BenchErrors.TokensDuplicated, $"token {first} came where token {_nextIndex} was to come");
        }

        _arriving = first;
        _nextIndex = first + count;
    }

    /// <summary>Text without a token of its own has arrived: what was held back.</summary>
    /// <exception cref="BenchRequestException">The answer is longer than any may be.</exception>
    public void OnText(string text)
    {
        if (_text.Length + text.Length > MostChars)
        {
            throw new BenchRequestException(BenchErrors.Malformed, $"the answer has more than {MostChars} characters");
        }

        _text.Append(text);
    }

    public void OnUsage(int completionTokens) => _usage = completionTokens;

    public void OnFinish() => _isFinished = true;

    public void OnDone() => _isDone = true;

    /// <summary>The server told of changes of replica; the note with the highest count tells them all.</summary>
    public void OnFailovers(FailoverNote note) => _failovers = note.Count > _failovers.Count ? note : _failovers;

    /// <summary>The answer was as it should be, and is over.</summary>
    public void OnSuccess()
    {
        latencies.AddEnd(time.GetElapsedTime(_start));
        if (Failovers > 0)
        {
            latencies.AddFailedOver(_longestGap);
        }

        foreach (var index in _failovers.Indexes.Distinct())
        {
            if (_gapBefore.TryGetValue(index, out var gap))
            {
                latencies.AddFailover(gap);
            }
        }
    }
}
