namespace Skein.Routing.Admission;

/// <summary>Why the queue refused a request.</summary>
public enum QueueRefusal
{
    /// <summary>As many requests wait as may.</summary>
    QueueLength,

    /// <summary>The free places are kept for callers that were told to come back.</summary>
    PlacesKept,

    /// <summary>The prompts of the waiters are at their bound.</summary>
    PromptTokens,

    /// <summary>No slot became free in time.</summary>
    Timeout,

    /// <summary>No live replica could serve it.</summary>
    NoReplica,

    /// <summary>Its own deadline passed.</summary>
    Deadline,
}

/// <summary>The waiters of one model.</summary>
/// <param name="Model">
/// Its name; empty: all that the fleet does not know yet, together, because such names come from clients and are unbounded.
/// </param>
/// <param name="PromptTokens">Estimate of the prompts' tokens.</param>
/// <param name="Tenants">Tenants with waiters; 0 without tenant fairness.</param>
public readonly record struct QueueLoad(string Model, int Waiters, long PromptTokens, int Tenants);

/// <summary>State of the queues at one moment, for metrics. Immutable.</summary>
/// <param name="Models">Models with waiters.</param>
/// <param name="ByPriority">Waiters of all models, by priority class; classes without any are absent.</param>
public sealed record QueueVitals(IReadOnlyList<QueueLoad> Models, IReadOnlyDictionary<int, int> ByPriority);
