using Google.Protobuf;

namespace Skein.Serving;

/// <summary>A standby attempt: it has read its prompt and waits to be continued. Thread-safe; may be disposed more than once.</summary>
/// <param name="before">The journal it was started with; null: nothing was generated.</param>
/// <param name="timeout">Longest wait once the engine is warm.</param>
/// <param name="remove">Called by each dispose.</param>
internal sealed class StandbyAttempt(StandbyKey key, Resume? before, TimeSpan timeout, TimeProvider time, Action<StandbyAttempt> remove) : IDisposable
{
    private readonly TaskCompletionSource<Resume?> _journal = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public StandbyKey Key => key;

    /// <summary>Waits for the whole journal. Called once the engine is warm: the timeout starts here.</summary>
    /// <exception cref="FaultException">The attempt was not continued in time; from now on it cannot be.</exception>
    public async Task<Resume?> ContinuedAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await _journal.Task.WaitAsync(timeout, time, cancellationToken);
        }
        catch (TimeoutException)
        {
            var message = FormattableString.Invariant($"the standby attempt of {key} was not continued within {timeout.TotalSeconds} s");
            _journal.TrySetException(new FaultException(Fault.StandbyExpired, message));
            return await _journal.Task; // a Continue may have won the race
        }
    }

    /// <exception cref="FaultException">It was continued or dropped before, or the request does not fit it.</exception>
    public void Continue(ContinueRequest request)
    {
        var resumedAt = before?.NextIndex ?? 0;
        if (request.NextIndex < resumedAt)
            throw new FaultException(Fault.InvalidRequest, $"next_index is {request.NextIndex}; allowed: from {resumedAt}, where the standby attempt began");

        var generated = request.NextIndex - resumedAt;
        if (request.TokenIds.Count > 0 && request.TokenIds.Count != generated)
        {
            throw new FaultException(
                Fault.InvalidRequest,
                $"token_ids has {request.TokenIds.Count} ids; allowed: none or {generated}, from {resumedAt}, where the standby attempt began, "
                + $"to next_index {request.NextIndex}");
        }

        if (!_journal.TrySetResult(Append(request)))
            throw new FaultException(Fault.StandbyTaken, $"the standby attempt of {key} was continued or given up before");
    }

    public void Dispose() => remove(this);

    private Resume? Append(ContinueRequest since)
    {
        if (since.NextIndex == 0)
            return before;

        var journal = before is null ? new Resume() : new Resume(before);
        journal.TokenIds.Add(since.TokenIds);
        journal.Text = journal.Text.IsEmpty ? since.Text : ByteString.CopyFrom([.. journal.Text.Span, .. since.Text.Span]);
        journal.RawDeltas = journal.RawDeltas.IsEmpty ? since.RawDeltas : ByteString.CopyFrom([.. journal.RawDeltas.Span, .. since.RawDeltas.Span]);
        journal.NextIndex = since.NextIndex;
        journal.Fingerprint = since.Fingerprint.Length > 0 ? since.Fingerprint : journal.Fingerprint;
        return journal;
    }
}
