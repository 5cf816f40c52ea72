using Google.Protobuf;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Serving;

/// <summary>One attempt that waits to be continued. Safe for concurrent use; may be disposed more than once.</summary>
/// <param name="key">Its names.</param>
/// <param name="before">The journal it was started with; null: nothing was generated.</param>
/// <param name="timeout">How long it may wait.</param>
/// <param name="time">Measures that.</param>
/// <param name="remove">Called with each dispose.</param>
internal sealed class StandbyAttempt(StandbyKey key, Resume? before, TimeSpan timeout, TimeProvider time, Action<StandbyAttempt> remove) : IDisposable
{
    private readonly TaskCompletionSource<Resume?> _journal = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public StandbyKey Key => key;

    /// <summary>The whole journal, as soon as it is known. To be called once the engine is warm: the bound on the wait counts from here.</summary>
    /// <exception cref="Grpc.Core.RpcException">The attempt was not continued in time; from now on it cannot be.</exception>
    public async Task<Resume?> ContinuedAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await _journal.Task.WaitAsync(timeout, time, cancellationToken);
        }
        catch (TimeoutException)
        {
            var message = FormattableString.Invariant($"hold is true for {key}; it was not continued within {timeout.TotalSeconds} s");
            // Not DEADLINE_EXCEEDED, which clients of gRPC take for their own deadline.
            _journal.TrySetException(ReplicaStatus.From(new FaultException(Fault.StandbyExpired, message)));
            return await _journal.Task; // continued at the last moment after all, or not
        }
    }

    /// <exception cref="Grpc.Core.RpcException">It was continued or given up before, or the request does not fit it.</exception>
    public void Continue(ContinueRequest request)
    {
        var resumedAt = before?.NextIndex ?? 0;
        if (request.NextIndex < resumedAt)
        {
            throw ReplicaStatus.InvalidRequest($"next_index is {request.NextIndex}; allowed: {resumedAt}, at which {key} is held, or more");
        }

        var generated = request.NextIndex - resumedAt;
        if (request.TokenIds.Count > 0 && request.TokenIds.Count != generated)
        {
            throw ReplicaStatus.InvalidRequest(
                $"token_ids has {request.TokenIds.Count} ids; allowed: none or {generated}, from {resumedAt}, at which {key} is held, to next_index {request.NextIndex}");
        }

        if (!_journal.TrySetResult(Joined(request)))
        {
            throw ReplicaStatus.From(new FaultException(Fault.StandbyTaken, $"{key} was continued or given up before"));
        }
    }

    public void Dispose() => remove(this);

    private Resume? Joined(ContinueRequest since)
    {
        if (since.NextIndex == 0)
        {
            return before;
        }

        var journal = before is null ? new Resume() : new Resume(before);
        journal.TokenIds.Add(since.TokenIds);
        journal.Text = journal.Text.IsEmpty ? since.Text : ByteString.CopyFrom([.. journal.Text.Span, .. since.Text.Span]);
        journal.NextIndex = since.NextIndex;
        journal.Fingerprint = since.Fingerprint.Length > 0 ? since.Fingerprint : journal.Fingerprint;
        return journal;
    }
}
