using System.Diagnostics.CodeAnalysis;
using System.Diagnostics.Metrics;
using System.Runtime.ExceptionServices;
using System.Security.Cryptography;
using Skein.Gateway.Keys;
using Skein.Gateway.Telemetry;

namespace Skein.Gateway.Api.Http;

/// <summary>
/// Answers whose clients sent an <c>Idempotency-Key</c>: a repeated request joins the running or finished answer from its first token instead of starting a
/// second one. Such an answer is finished even if its client disconnects, and its API key pays for it once: until its end it counts as one of the
/// key's running requests. A deadline holds only for the client that sent it. Thread-safe.
/// </summary>
internal sealed class KeptAnswers
{
    /// <summary>In: 1 to 255 bytes; requests with the same key, credentials and path are the same request.</summary>
    public const string Header = "idempotency-key";

    internal static readonly TimeSpan KeptAfterEnd = TimeSpan.FromMinutes(5);
    private const int MaxKeyBytes = 255;
    internal const int MostAnswers = 1000;
    private const long MostBytes = 256 << 20;

    private readonly Lock _gate = new();
    private readonly Dictionary<(string Tenant, string Path, string Key), KeptAnswer> _answers = [];
    private readonly IGenerationSessions _sessions;
    private readonly TimeProvider _time;
    private readonly long _mostBytes;

    /// <param name="mostBytes">Bound on the memory of all answers together: past it, the answers that ended first are forgotten.</param>
    public KeptAnswers(IGenerationSessions sessions, TimeProvider time, IMeterFactory meters, long mostBytes = MostBytes)
    {
        (_sessions, _time, _mostBytes) = (sessions, time, mostBytes);
        var meter = meters.Create(MetricNames.Meter);
        meter.CreateObservableGauge(
            "skein.kept_answers", () => Count, "{answer}", "Answers that are kept because of an idempotency key, those that run included.");
        meter.CreateObservableGauge("skein.kept_answers.memory", () => Bytes, "By", "Memory of the kept answers.");
    }

    /// <summary>Answers that are kept now, those that run included.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
                return _answers.Count;
        }
    }

    /// <summary>Memory of all kept answers.</summary>
    public long Bytes
    {
        get
        {
            lock (_gate)
                return AllBytes;
        }
    }

    /// <summary>Starts a session, or joins the one of an earlier request with the same key.</summary>
    /// <param name="key">Value of <see cref="Header"/>; null or empty: none was sent.</param>
    /// <param name="grant">API key of the client; null: keys are not required.</param>
    /// <exception cref="RequestRefusedException">The key belongs to another body, or is too long.</exception>
    /// <exception cref="FaultException">The gateway is at its bound of sessions, or the client's API key does not allow the request.</exception>
    public IGenerationSession StartOrJoin(
        GenerateRequest request, IReadOnlyList<CompletionPrompt>? prompts, string path, string? key, ReadOnlySpan<byte> body, KeyGrant? grant = null)
    {
        // As the client sent it: the session may change it.
        var model = request.Model;
        if (string.IsNullOrEmpty(key))
        {
            grant?.Begin(model);
            return _sessions.Start(request, prompts);
        }
        if (Encoding.UTF8.GetByteCount(key) > MaxKeyBytes)
            throw RequestRefusedException.Invalid(Header, $"{Encoding.UTF8.GetByteCount(key)} bytes; allowed: 1 to {MaxKeyBytes} bytes");
        var deadline = new ClientDeadline(request, _time);
        var bodyHash = Convert.ToHexStringLower(SHA256.HashData(body));
        lock (_gate)
        {
            ForgetOld();
            var id = (request.Tenant, path, key);
            if (_answers.TryGetValue(id, out var kept))
            {
                if (kept.BodyHash != bodyHash)
                {
                    throw new RequestRefusedException(
                        StatusCodes.Status422UnprocessableEntity, "idempotency_key_reused", Header,
                        $"{Header}: the key was sent with another body before; allowed: a new key, or the same body");
                }

                // What failed may be tried again.
                if (!kept.HasFailed)
                {
                    grant?.Join(model);
                    return kept.Join(deadline);
                }
            }

            grant?.Begin(model);
            if ((_answers.Count >= MostAnswers && !_answers.ContainsKey(id)) || AllBytes >= _mostBytes)
                return _sessions.Start(request, prompts);
            request.ClearDeadlineMs();
            var answer = new KeptAnswer(_sessions.Start(request, prompts), bodyHash, _time, grant?.HandOver());
            _answers[id] = answer;
            return answer.Join(deadline);
        }
    }

    private bool IsFull => _answers.Count >= MostAnswers || AllBytes > _mostBytes;

    private long AllBytes => _answers.Values.Sum(answer => answer.Bytes);

    private void ForgetOld()
    {
        foreach ((var id, var answer) in _answers)
        {
            if (answer.EndedFor > KeptAfterEnd)
                _answers.Remove(id);
        }
        if (!IsFull)
            return;
        foreach ((var id, _) in _answers.Where(kept => kept.Value.EndedFor is { Ticks: > 0 }).OrderByDescending(kept => kept.Value.EndedFor).ToList())
        {
            if (!IsFull)
                return;
            _answers.Remove(id);
        }
    }
}

/// <summary>How long one client waits for an answer that others may share. Immutable.</summary>
internal sealed class ClientDeadline(GenerateRequest request, TimeProvider time)
{
    private readonly TimeSpan? _allowed = request.HasDeadlineMs ? TimeSpan.FromMilliseconds(request.DeadlineMs) : null;
    private readonly long _since = time.GetTimestamp();

    /// <summary>Waits for the task.</summary>
    /// <exception cref="FaultException">The deadline passed before.</exception>
    public async Task WaitAsync(Task task, CancellationToken cancellationToken)
    {
        var left = _allowed is { } allowed ? TimeSpan.FromTicks(Math.Max(0, (allowed - time.GetElapsedTime(_since)).Ticks)) : Timeout.InfiniteTimeSpan;
        try
        {
            await task.WaitAsync(left, time, cancellationToken);
        }
        catch (TimeoutException passed)
        {
            throw new FaultException(
                Fault.DeadlineExceeded,
                $"the answer was not complete within the deadline of the request, {_allowed!.Value.TotalMilliseconds:0} ms; it goes on, and a request with the "
                + $"same {KeptAnswers.Header} joins it",
                passed);
        }
    }
}

/// <summary>The frames of one session, for any number of readers. Thread-safe.</summary>
internal sealed class KeptAnswer
{
    /// <summary>Bound on one answer's frames: past it the answer fails.</summary>
    private const long MostBytes = 16 << 20;

    private const int FrameOverheadBytes = 160;

    private readonly IGenerationSession _session;
    private readonly TimeProvider _time;
    private readonly KeyCharge? _charge;
    private readonly Lock _gate = new();
    private readonly List<GenerateFrame> _frames = [];
    private TaskCompletionSource? _changed;
    private ExceptionDispatchInfo? _error;
    private long _endedAt;
    private bool _isOver;
    private long _bytes;
    private TokenCount _tokens;

    /// <param name="charge">What it costs its API key; disposed at its end. Null: nothing.</param>
    public KeptAnswer(IGenerationSession session, string bodyHash, TimeProvider time, KeyCharge? charge)
    {
        (_session, BodyHash, _time, _charge) = (session, bodyHash, time, charge);
        _ = ReadAsync();
    }

    public string BodyHash { get; }

    public bool HasFailed
    {
        get
        {
            lock (_gate)
                return _error is not null;
        }
    }

    /// <summary>Time since its end; zero before it.</summary>
    public TimeSpan EndedFor
    {
        get
        {
            lock (_gate)
                return _isOver ? _time.GetElapsedTime(_endedAt) : TimeSpan.Zero;
        }
    }

    public long Bytes => Volatile.Read(ref _bytes);

    /// <summary>A reader from the first frame on.</summary>
    public IGenerationSession Join(ClientDeadline deadline) => new JoinedSession(this, deadline);

    private async Task ReadAsync()
    {
        ExceptionDispatchInfo? error = null;
        using var paidFor = _charge;
        try
        {
            await using (_session)
            {
                while (await _session.WaitToReadAsync(CancellationToken.None))
                {
                    while (_session.TryRead(out var frame))
                        Add(frame);
                }
            }
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            // Every reader gets it.
            error = ExceptionDispatchInfo.Capture(failure);
        }

        lock (_gate)
        {
            (_isOver, _error, _endedAt) = (true, error, _time.GetTimestamp());
            _changed?.TrySetResult();
        }
    }

    private void Add(GenerateFrame frame)
    {
        _tokens.Add(frame);
        _charge?.UpTo(_tokens.Sum);
        lock (_gate)
        {
            _frames.Add(frame);
            _bytes += FrameOverheadBytes + frame.CalculateSize();
            _changed?.TrySetResult();
            _changed = null;
        }

        if (_bytes > MostBytes)
            throw new FaultException(Fault.StreamLost, $"the answer is longer than an answer with an idempotency-key may be; allowed: {MostBytes} bytes");
    }

    private sealed class JoinedSession(KeptAnswer answer, ClientDeadline deadline) : IGenerationSession
    {
        private int _next;

        public string Id => answer._session.Id;

        public string? Replica => answer._session.Replica;

        public int Attempts => answer._session.Attempts;

        public IReadOnlyList<Failover> Failovers => answer._session.Failovers;

        public ResumeTier ResumeTier => answer._session.ResumeTier;

        public bool IsQueued => answer._session.IsQueued;

        public TimeSpan Waited => answer._session.Waited;

        public async ValueTask<bool> WaitToReadAsync(CancellationToken cancellationToken)
        {
            while (true)
            {
                Task changed;
                lock (answer._gate)
                {
                    if (_next < answer._frames.Count)
                        return true;
                    if (answer._isOver)
                    {
                        answer._error?.Throw();
                        return false;
                    }

                    answer._changed ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                    changed = answer._changed.Task;
                }

                await deadline.WaitAsync(changed, cancellationToken);
            }
        }

        public bool TryRead([NotNullWhen(true)] out GenerateFrame? frame)
        {
            lock (answer._gate)
                frame = _next < answer._frames.Count ? answer._frames[_next++] : null;
            return frame is not null;
        }

        // The answer goes on: its client may come back.
        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
