using System.Collections.Concurrent;

namespace Skein.Gateway.Links.Bus;

/// <summary>
/// One multiplexed HTTP/2 connection per generation of a replica. It is closed once that generation has left the fleet and nothing uses it; a generation that
/// was declared dead and returns while its connection is used gets the same one. Thread-safe.
/// </summary>
internal sealed class ReplicaChannels : IDisposable
{
    /// <summary>A request body of 32 MiB and its frame.</summary>
    private const int MaxMessageBytes = 33 << 20;

    private readonly ConcurrentDictionary<ReplicaId, ReplicaChannel> _channels = [];
    private readonly FleetTracker _fleet;
    private readonly LinkOptions _options;
    private readonly AdmissionQueue? _admission;
    private volatile bool _isDisposed;

    /// <param name="admission">Receives the slots that replicas offer to this gateway; null: every offer is declined.</param>
    public ReplicaChannels(FleetTracker fleet, LinkOptions options, AdmissionQueue? admission = null)
    {
        _fleet = fleet;
        _options = options;
        _admission = admission;
        _fleet.Changed += CloseUnused;
    }

    public int Count => _channels.Count;

    /// <summary>False once the replica was found not to know the bus.</summary>
    public bool HasBus(Replica replica) => !_channels.TryGetValue(replica.Id, out var channel) || channel.HasBus;

    public static FaultException Gone(Replica replica) => new(Fault.Unreachable, $"{replica.Id} left the fleet");

    /// <summary>Opens the channel to a replica, or shares it. It stays open at least until the result is disposed.</summary>
    /// <exception cref="FaultException">The gateway stops.</exception>
    public ChannelUse Use(Replica replica)
    {
        while (true)
        {
            if (_isDisposed)
                throw Gone(replica);
            if (!_channels.TryGetValue(replica.Id, out var channel))
            {
                channel = _channels.GetOrAdd(replica.Id, Open(replica));
                // Added first, then checked: if the replica leaves in between, either this check finds it, or the change of the fleet marks the channel.
                if (!_fleet.Current.Replicas.Contains(replica))
                    channel.HasLeft = true;
            }
            if (channel.TryUse(replica))
                return new ChannelUse(this, replica.Id, channel);
            _channels.TryRemove(KeyValuePair.Create(replica.Id, channel));
        }
    }

    public void Dispose()
    {
        _isDisposed = true;
        _fleet.Changed -= CloseUnused;
        foreach ((var id, var channel) in _channels)
        {
            if (_channels.TryRemove(id, out _))
                channel.TryClose(always: true);
        }
    }

    // Opening does not connect yet: a channel that loses the race to be added costs nothing but itself.
    private ReplicaChannel Open(Replica replica)
    {
        var channel = MemberChannel.Open(replica.Description.Address, _options, (handler, channel) =>
        {
            handler.PooledConnectionIdleTimeout = Timeout.InfiniteTimeSpan;
            handler.InitialHttp2StreamWindowSize = 1 << 20;
            // A connection whose packets are lost looks idle. Without pings, new calls and probes would use it.
            handler.KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests;
            handler.KeepAlivePingDelay = _options.KeepAliveInterval;
            handler.KeepAlivePingTimeout = _options.KeepAliveTimeout;
            channel.MaxReceiveMessageSize = MaxMessageBytes;
            channel.MaxSendMessageSize = MaxMessageBytes;
            channel.ThrowOperationCanceledOnCancellation = true;
        });
        return new ReplicaChannel(replica, channel, MemberChannel.Invoker(channel, _options), _admission);
    }

    private void CloseUnused()
    {
        HashSet<ReplicaId> present = [.. _fleet.Current.Replicas.Select(replica => replica.Id)];
        foreach ((var id, var channel) in _channels)
        {
            channel.HasLeft = !present.Contains(id);
            CloseIfUnused(id, channel);
        }
    }

    private void CloseIfUnused(ReplicaId id, ReplicaChannel channel)
    {
        if (channel.TryClose())
            _channels.TryRemove(KeyValuePair.Create(id, channel));
    }

    /// <summary>One use of a replica's channel. Disposed once.</summary>
    internal readonly struct ChannelUse(ReplicaChannels channels, ReplicaId id, ReplicaChannel channel) : IDisposable
    {
        public ReplicaChannel Channel => channel;

        public void Dispose()
        {
            if (channel.EndUse())
                channels.CloseIfUnused(id, channel);
        }
    }
}
