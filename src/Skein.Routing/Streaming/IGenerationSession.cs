using System.Diagnostics.CodeAnalysis;

namespace Skein.Routing.Streaming;

/// <summary>Starts sessions. Every API uses it.</summary>
public interface IGenerationSessions
{
    /// <summary>Checks whether a session could be started now, before a request's body is read. <see cref="Start"/> may still refuse it.</summary>
    /// <exception cref="FaultException">The gateway is at its bound of sessions, or of their memory.</exception>
    void RequireRoom();

    /// <summary>
    /// Takes over a validated request. Returns at once: waiting for a slot, dispatch and failover happen behind the session.
    /// </summary>
    /// <param name="request">Owned by the session from now on.</param>
    /// <param name="prompts">
    /// Several prompts instead of the request's own, each with <see cref="GenerateRequest.N"/> choices: choice number = prompt x n + i. Default (null): the
    /// request's own prompt.
    /// </param>
    /// <exception cref="FaultException">The gateway is at its bound of sessions.</exception>
    IGenerationSession Start(GenerateRequest request, IReadOnlyList<CompletionPrompt>? prompts = null);
}

/// <summary>
/// One client's request from first byte to last, across failures of replicas. Read by one reader; disposing it cancels what still runs and
/// frees its slots.
/// </summary>
public interface IGenerationSession : IAsyncDisposable
{
    /// <summary>128 random bits in lower-case hex.</summary>
    string Id { get; }

    /// <summary>Public name of the replica that serves choice 0 now; null before the first dispatch.</summary>
    string? Replica { get; }

    /// <summary>Whether all choices wait for a slot now: no replica works for the client.</summary>
    bool IsQueued { get; }

    /// <summary>Attempts so far, all choices together.</summary>
    int Attempts { get; }

    /// <summary>Failovers so far, all choices together, oldest first: for the report to the client at the end.</summary>
    IReadOnlyList<Failover> Failovers { get; }

    /// <summary>Longest time that a choice waited for slots so far.</summary>
    TimeSpan Waited => TimeSpan.Zero;

    /// <summary>Resume tier of this request as its replica declared it.</summary>
    ResumeTier ResumeTier { get; }

    /// <summary>
    /// Waits until <see cref="TryRead"/> has a frame (true), or all choices are finished (false).
    /// </summary>
    /// <exception cref="FaultException">The session ended in an error; all frames before it have been read.</exception>
    ValueTask<bool> WaitToReadAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Takes the next frame, if there is one. Per choice: one with <see cref="GenerateFrame.Start"/>, then token indexes 0, 1, 2, … without
    /// gap or repeat, then one with <see cref="GenerateFrame.Finish"/>. Heartbeats and load reports are not included.
    /// </summary>
    bool TryRead([NotNullWhen(true)] out GenerateFrame? frame);
}

/// <summary>One change of replica during a session.</summary>
/// <param name="Choice">Which of the request's choices.</param>
/// <param name="TokenIndex">Index of the first token of the new replica.</param>
/// <param name="From">Public name of the replica that was lost.</param>
/// <param name="Reason">Why: a value of the attribute <c>reason</c> of the metric <c>skein.failovers</c>.</param>
public sealed record Failover(int Choice, int TokenIndex, string From, string Reason);
