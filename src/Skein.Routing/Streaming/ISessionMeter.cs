namespace Skein.Routing.Streaming;

/// <summary>Is told the times of sessions, for metrics. Thread-safe; returns at once and does not throw.</summary>
public interface ISessionMeter
{
    /// <summary>A request got a slot.</summary>
    /// <param name="model">A model that is served.</param>
    /// <param name="wait">Time from when it asked for the slot.</param>
    void Waited(string model, TimeSpan wait);

    /// <summary>A client has the first token after a failover.</summary>
    /// <param name="reason">As in <see cref="Failover.Reason"/>.</param>
    /// <param name="gap">Time since the token before it arrived.</param>
    void Resumed(string reason, TimeSpan gap);

    /// <summary>An attempt finished an answer.</summary>
    /// <param name="model">The model that answered.</param>
    /// <param name="replica">Name of the replica in the fleet.</param>
    /// <param name="isChat">Whether the request was a chat; otherwise it was a completion.</param>
    /// <param name="perToken">Mean time per token after its first one.</param>
    void Generated(string model, string replica, bool isChat, TimeSpan perToken);
}
