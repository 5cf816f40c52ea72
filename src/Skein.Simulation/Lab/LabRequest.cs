using Skein.Protocol;
using Skein.Simulation.Traces;

namespace Skein.Simulation.Lab;

/// <summary>A request of the trace in one run, and what happened to it. Times are virtual.</summary>
internal sealed class LabRequest(int number, TraceRequest trace, TimeSpan arrivesAt)
{
    public int Number => number;

    public TraceRequest Trace => trace;

    public TimeSpan ArrivesAt => arrivesAt;

    /// <summary>When its first replica took it; null: none did.</summary>
    public TimeSpan? StartedAt { get; set; }

    public TimeSpan? FirstTokenAt { get; set; }

    public TimeSpan? FinishedAt { get; set; }

    /// <summary>Why it was refused or lost; null if it was not.</summary>
    public Fault? Fault { get; set; }

    /// <summary>Prompt tokens that were in the replica's cache.</summary>
    public int CachedTokens { get; set; }
}

/// <summary>A request on a replica.</summary>
internal sealed class LabSequence(LabRequest request, int firstIndex)
{
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public LabRequest Request => request;

    /// <summary>Prompt tokens to read, the resumed answer included.</summary>
    public int PromptLeft { get; set; } = request.Trace.PromptTokens + firstIndex;

    public int AnswerLeft { get; set; } = request.Trace.AnswerTokens - firstIndex;

    /// <summary>Index of the next token.</summary>
    public int NextIndex { get; set; } = firstIndex;

    /// <summary>Its blocks were looked up in the cache.</summary>
    public bool IsLookedUp { get; set; }

    public bool IsOver { get; set; }

    public Fault? Fault { get; set; }

    public TimeSpan ToldAt { get; set; }

    /// <summary>Wakes its reader.</summary>
    public void Tell(TimeSpan now)
    {
        ToldAt = now;
        _changed.TrySetResult();
    }

    public async Task WaitAsync(CancellationToken cancellationToken)
    {
        await using var registration = cancellationToken.UnsafeRegister(static changed => ((TaskCompletionSource)changed!).TrySetResult(), _changed);
        await _changed.Task;
        cancellationToken.ThrowIfCancellationRequested();
        _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
