namespace Skein.Routing.Admission;

/// <summary>One request in the line. Fields are touched under the admission lock only; the completion is completed outside of it.</summary>
internal sealed class Waiter(AdmissionRequest request, TimeSpan enqueuedAt)
{
    /// <summary>Orders a line.</summary>
    public static IComparer<Waiter> ByArrival { get; } =
        Comparer<Waiter>.Create((left, right) => Arrival.Order(left.Request.Arrival, right.Request.Arrival));

    public AdmissionRequest Request { get; } = request;

    public TimeSpan EnqueuedAt { get; } = enqueuedAt;

    /// <summary>When its session came, which for a displaced one is long before it joined this line.</summary>
    public TimeSpan Since => Request.Arrival.At ?? EnqueuedAt;

    /// <summary>Since when no live replica could ever serve it; null while one could.</summary>
    public TimeSpan? UnservableSince { get; set; }

    /// <summary>Completed exactly once: by whoever takes the waiter out of the line.</summary>
    public TaskCompletionSource<ReplicaLease> Completion { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public ITimer? Timer { get; set; }
}
