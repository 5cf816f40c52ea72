using System.Diagnostics.CodeAnalysis;
using System.Runtime.ExceptionServices;
using System.Security.Cryptography;

namespace Skein.Gateway.Api.Http;

/// <summary>
/// Answers whose clients sent an <c>Idempotency-Key</c>: a repeated request joins the running or finished answer from its first token instead of starting a
/// second one. Such an answer is finished even if its client disconnects. Thread-safe.
/// </summary>
/// <param name="mostBytes">Bound on the memory of all answers together: past it, the answers that ended first are forgotten.</param>
internal sealed class KeptAnswers(IGenerationSessions sessions, TimeProvider time, long mostBytes = KeptAnswers.MostBytes)
{
    /// <summary>In: 1 to 255 bytes; requests with the same key, credentials and path are the same request.</summary>
    public const string Header = "idempotency-key";

    internal static readonly TimeSpan KeptAfterEnd = TimeSpan.FromMinutes(5);
    private const int MaxKeyBytes = 255;
    private const int MostAnswers = 1000;
    private const long MostBytes = 256 << 20;

    private readonly Lock _gate = new();
    private readonly Dictionary<(string Tenant, string Path, string Key), KeptAnswer> _answers = [];

    /// <summary>Starts a session, or joins the one of an earlier request with the same key.</summary>
    /// <param name="key">Value of <see cref="Header"/>; null or empty: none was sent.</param>
    /// <exception cref="RequestRefusedException">The key belongs to another body, or is too long.</exception>
    /// <exception cref="FaultException">The gateway is at its bound of sessions.</exception>
    public IGenerationSession StartOrJoin(
        GenerateRequest request, IReadOnlyList<CompletionPrompt>? prompts, string path, string? key, ReadOnlySpan<byte> body)
    {
        if (string.IsNullOrEmpty(key))
            return sessions.Start(request, prompts);
        if (Encoding.UTF8.GetByteCount(key) > MaxKeyBytes)
            throw RequestRefusedException.Invalid(Header, $"{Encoding.UTF8.GetByteCount(key)} bytes; allowed: 1 to {MaxKeyBytes} bytes");
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
                    return kept.Join();
            }

            var session = sessions.Start(request, prompts);
            if ((_answers.Count >= MostAnswers && !_answers.ContainsKey(id)) || Bytes >= mostBytes)
                return session;
            var answer = new KeptAnswer(session, bodyHash, time);
            _answers[id] = answer;
            return answer.Join();
        }
    }

    private long Bytes => _answers.Values.Sum(answer => answer.Bytes);

    private void ForgetOld()
    {
        foreach ((var id, var answer) in _answers)
        {
            if (answer.EndedFor > KeptAfterEnd)
                _answers.Remove(id);
        }
        if (Bytes <= mostBytes)
            return;
        foreach ((var id, _) in _answers.Where(kept => kept.Value.EndedFor is { Ticks: > 0 }).OrderByDescending(kept => kept.Value.EndedFor).ToList())
        {
            if (Bytes <= mostBytes)
                return;
            _answers.Remove(id);
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
    private readonly Lock _gate = new();
    private readonly List<GenerateFrame> _frames = [];
    private TaskCompletionSource? _changed;
    private ExceptionDispatchInfo? _error;
    private long _endedAt;
    private bool _isOver;
    private long _bytes;

    public KeptAnswer(IGenerationSession session, string bodyHash, TimeProvider time)
    {
        (_session, BodyHash, _time) = (session, bodyHash, time);
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
    public IGenerationSession Join() => new Reader(this);

    private async Task ReadAsync()
    {
        ExceptionDispatchInfo? error = null;
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

    private sealed class Reader(KeptAnswer answer) : IGenerationSession
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

                await changed.WaitAsync(cancellationToken);
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
