namespace Skein.Gateway.Upstreams;

/// <summary>The model servers that this gateway serves itself, without a replica process. They can be added and removed at run time. Thread-safe.</summary>
public interface IUpstreams
{
    /// <summary>Names of the upstreams, connected or not.</summary>
    IReadOnlyList<string> Names { get; }

    /// <summary>Adds an upstream. It serves once its server answers, and again each time the server comes back.</summary>
    /// <exception cref="ArgumentException">An option is not allowed, or the name is in use.</exception>
    void Add(UpstreamOptions options);

    /// <summary>
    /// Removes an upstream. It gets no new work at once; running streams are handed over as in a drain, or finish. Streams that still run after
    /// <paramref name="timeout"/> are ended and continue elsewhere.
    /// </summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="timeout">Longest wait for the streams. Not negative.</param>
    /// <param name="cancellationToken">Ends the streams without waiting; the upstream is removed all the same.</param>
    /// <exception cref="ArgumentException">There is no such upstream.</exception>
    Task RemoveAsync(string name, TimeSpan timeout, CancellationToken cancellationToken = default);
}
