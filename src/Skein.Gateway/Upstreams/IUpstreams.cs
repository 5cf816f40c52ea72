using Skein.Routing.Fleet;

namespace Skein.Gateway.Upstreams;

/// <summary>
/// Replicas that are this gateway's own and no members of its group, one for each of <see cref="GatewayOptions.Upstreams"/>. Whoever runs them tells
/// here how it stands. Thread-safe.
/// </summary>
public interface IUpstreams
{
    /// <summary>
    /// A replica serves from now on, or serves on and its drain has changed. Each life of its name has a higher generation than the one before.
    /// </summary>
    /// <param name="replica">Its name is one of <see cref="GatewayOptions.Upstreams"/>.</param>
    /// <exception cref="ArgumentException">The name is another one.</exception>
    void Up(ReplicaDescription replica);

    /// <summary>A replica serves no more: it gets no new work. What runs on it may end.</summary>
    /// <exception cref="ArgumentException">The name is none of <see cref="GatewayOptions.Upstreams"/>.</exception>
    void Down(string name);
}
