namespace Skein.Routing.Admission;

/// <summary>One request in a queue. Used under the admission lock; only the completion is completed outside of it.</summary>
internal sealed class Waiter(AdmissionRequest request, TimeSpan enqueuedAt)
{
    /// <summary>Order of a queue.</summary>
    public static IComparer<Waiter> ByArrival { get; } =
        Comparer<Waiter>.Create((left, right) => Arrival.Order(left.Request.Arrival, right.Request.Arrival));

    public AdmissionRequest Request { get; } = request;

    public TimeSpan EnqueuedAt { get; } = enqueuedAt;

    /// <summary>When its session arrived; a displaced session arrived long before it joined this queue.</summary>
    public TimeSpan Since => Request.Arrival.At ?? EnqueuedAt;

    /// <summary>Since when no live replica can serve it; null while one can.</summary>
    public TimeSpan? UnservableSince { get; set; }

    /// <summary>Completed exactly once, by the caller that removed the waiter from the queue.</summary>
    public TaskCompletionSource<ReplicaLease> Completion { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public ITimer? Timer { get; set; }
}
