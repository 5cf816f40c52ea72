using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Api;

/// <summary>Sessions whose frames the test gives, before they start or while they run.</summary>
internal sealed class ScriptedSessions : IGenerationSessions
{
    private readonly Channel<ScriptedSession> _started = Channel.CreateUnbounded<ScriptedSession>();

    /// <summary>Called for every new session.</summary>
    public Action<ScriptedSession> Script { get; set; } = _ => { };

    /// <summary>The next session that was started.</summary>
    public async Task<ScriptedSession> StartedAsync() => await _started.Reader.ReadAsync().AsTask().Within();

    /// <summary>What <see cref="RequireRoom"/> throws; null: there is room.</summary>
    public FaultException? Full { get; set; }

    public void RequireRoom()
    {
        if (Full is not null)
            throw Full;
    }

    public bool HasStarted => _started.Reader.Count > 0;

    public IGenerationSession Start(GenerateRequest request, IReadOnlyList<CompletionPrompt>? prompts = null)
    {
        var session = new ScriptedSession(request) { Prompts = prompts };
        Script(session);
        _started.Writer.TryWrite(session);
        return session;
    }
}

internal sealed class ScriptedSession(GenerateRequest request) : IGenerationSession
{
    private readonly Channel<GenerateFrame> _frames = Channel.CreateUnbounded<GenerateFrame>();
    private readonly TaskCompletionSource _disposed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Channel<bool> _waits = Channel.CreateUnbounded<bool>();
    private readonly TaskCompletionSource _wellUnderWay = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _framesRead;

    public GenerateRequest Request { get; } = request;

    public IReadOnlyList<CompletionPrompt>? Prompts { get; init; }

    public string Id => "0123456789abcdef0123456789abcdef";

    public string? Replica { get; set; } = "replica-1";

    public int Attempts { get; set; } = 1;

    public IReadOnlyList<Failover> Failovers { get; set; } = [];

    public ResumeTier ResumeTier { get; set; } = ResumeTier.Exact;

    /// <summary>Ends when the gateway disposes the session.</summary>
    public Task Disposed => _disposed.Task.Within();

    /// <summary>Ends when the gateway has read 300 frames.</summary>
    public Task WellUnderWay => _wellUnderWay.Task.Within();

    public bool IsReadToEnd => _frames.Reader.Count == 0;

    /// <summary>Ends when the gateway waits for a frame that is not there; the next call with its next such wait.</summary>
    public Task WaitsAsync() => _waits.Reader.ReadAsync().AsTask().Within();

    public void Push(params IEnumerable<GenerateFrame> frames)
    {
        foreach (var frame in frames)
            _frames.Writer.TryWrite(frame);
    }

    public void End() => _frames.Writer.TryComplete();

    public void Fail(Fault error, string message, TimeSpan? retryAfter = null) =>
        _frames.Writer.TryComplete(new FaultException(error, message, retryAfter: retryAfter));

    public void Fail(Exception exception) => _frames.Writer.TryComplete(exception);

    public async ValueTask<bool> WaitToReadAsync(CancellationToken cancellationToken)
    {
        var wait = _frames.Reader.WaitToReadAsync(cancellationToken);
        if (!wait.IsCompleted)
            _waits.Writer.TryWrite(true);
        return await wait;
    }

    public bool TryRead([NotNullWhen(true)] out GenerateFrame? frame)
    {
        if (!_frames.Reader.TryRead(out frame))
            return false;
        if (++_framesRead == 300)
            _wellUnderWay.TrySetResult();
        return true;
    }

    public ValueTask DisposeAsync()
    {
        _disposed.TrySetResult();
        return ValueTask.CompletedTask;
    }
}

internal static class Deadline
{
    /// <summary>Polls for an effect that follows an answer with a delay.</summary>
    /// <returns>The first value that meets the condition, or the last one before the deadline.</returns>
    public static async Task<T> AskAsync<T>(Func<Task<T>> ask, Func<T, bool> willDo)
    {
        var started = TimeProvider.System.GetTimestamp();
        T last;
        do
            last = await ask();
        while (!willDo(last) && TimeProvider.System.GetElapsedTime(started) < Soon);
        return last;
    }

    /// <summary>A deadline, so that a broken test fails instead of hanging.</summary>
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(30);

    public static Task Within(this Task task) => task.WaitAsync(Soon);

    public static Task<T> Within<T>(this Task<T> task) => task.WaitAsync(Soon);
}
