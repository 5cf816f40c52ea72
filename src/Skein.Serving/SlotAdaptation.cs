namespace Skein.Serving;

/// <summary>Feeds <see cref="AdaptiveSlots"/> with what the attempts measure, and applies its decisions. Thread-safe.</summary>
internal sealed partial class SlotAdaptation(SlotTable slots, string engine, TimeProvider time, ILogger<SlotAdaptation> logger)
{
    /// <summary>Least time between two log lines.</summary>
    private static readonly TimeSpan LogInterval = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();
    private readonly AdaptiveSlots _core = new();
    private readonly long _origin = time.GetTimestamp();
    private ulong _lastBegun;
    private int _loggedSlots = AdaptiveSlots.Initial;
    private TimeSpan? _loggedAt;

    /// <summary>An attempt begins on the engine; it holds its slot already.</summary>
    public AttemptMeasure Begin()
    {
        lock (_gate)
            return new AttemptMeasure(this, ++_lastBegun, Now, slots.Running);
    }

    /// <summary>Decides anew. Called about once a second.</summary>
    /// <param name="waiting">Requests in the engine's queue; null: unknown.</param>
    public void Tick(int? waiting)
    {
        bool isChanged;
        lock (_gate)
            isChanged = _core.Tick(Now, ScaledPeak(), waiting);

        Apply(isChanged);
    }

    // The peak as if this process had all slots of the engine: it may have a share of them.
    private int ScaledPeak()
    {
        var (peak, own) = (slots.TakePeak(), slots.Slots);
        return peak >= own && own > 0 ? _core.Slots : (int)((long)peak * _core.Slots / Math.Max(1, own));
    }

    private TimeSpan Now => time.GetElapsedTime(_origin);

    private void Received(AttemptMeasure attempt, TimeSpan wait, int count)
    {
        lock (_gate)
        {
            if (attempt.HasToken)
                _core.Tokens(wait, count);
            else
                _core.FirstToken(attempt.Begun, Now - attempt.Begun, attempt.Concurrency);
        }
    }

    private void EndedWithoutFinish(ulong number)
    {
        lock (_gate)
        {
            // Its own slot is still taken: another attempt must run too, and must have begun later.
            if (_core.IsExclusive || _lastBegun == number || slots.Running < 2)
                return;

            _core.Interrupted();
        }

        Apply(isChanged: true);
    }

    private void Apply(bool isChanged)
    {
        string? reason = null;
        int before, now;
        lock (_gate)
        {
            (before, now) = (_loggedSlots, _core.Slots);
            if (now != before && (_core.IsExclusive || _loggedAt is null || Now - _loggedAt >= LogInterval))
                (reason, _loggedSlots, _loggedAt) = (_core.Reason, now, Now);
        }

        if (isChanged)
            slots.SetSlots(now);

        if (reason is not null)
            Log.Changed(logger, engine, now, before, reason);
    }

    /// <summary>Measures one attempt. Used by its reader only.</summary>
    internal sealed class AttemptMeasure(SlotAdaptation adaptation, ulong number, TimeSpan begun, int concurrency)
    {
        public TimeSpan Begun => begun;

        public int Concurrency => concurrency;

        public bool HasToken { get; private set; }

        /// <param name="wait">Time that the reader waited for the frame.</param>
        public void Received(GenerateFrame frame, TimeSpan wait)
        {
            if (frame.Count == 0)
                return;

            adaptation.Received(this, wait, (int)frame.Count);
            HasToken = true;
        }

        /// <summary>The engine ended the answer without a finish, and without another error.</summary>
        public void EndedWithoutFinish() => adaptation.EndedWithoutFinish(number);
    }

    private static partial class Log
    {
        [LoggerMessage(2009, LogLevel.Information, "The {Engine} has {Slots} slots now instead of {Before}: {Reason}")]
        public static partial void Changed(ILogger logger, string engine, int slots, int before, string reason);
    }
}
