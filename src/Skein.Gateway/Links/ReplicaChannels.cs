using System.Collections.Concurrent;
using System.Net.Http;
using Grpc.Net.Client;
using Skein.Protocol.V1;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;

namespace Skein.Gateway.Links;

/// <summary>
/// One multiplexed HTTP/2 connection per replica life. It is closed once that life has left the fleet and nothing runs over it. Thread-safe.
/// </summary>
internal sealed class ReplicaChannels : IDisposable
{
    private readonly ConcurrentDictionary<ReplicaId, Channel> _channels = [];
    private readonly FleetTracker _fleet;
    private readonly LinkOptions _options;
    private readonly AdmissionQueue? _admission;

    /// <param name="fleet">Who is there.</param>
    /// <param name="options">Bounds of the connections.</param>
    /// <param name="admission">Gets the slots that replicas keep for this gateway; null: has no use for any.</param>
    public ReplicaChannels(FleetTracker fleet, LinkOptions options, AdmissionQueue? admission = null)
    {
        _fleet = fleet;
        _options = options;
        _admission = admission;
        _fleet.Changed += CloseThoseThatLeft;
    }

    public Inference.InferenceClient ClientOf(Replica replica) => _channels.GetOrAdd(replica.Id, Open, (replica, this)).Client;

    /// <summary>False once the replica was found to know no bus.</summary>
    public bool HasBus(Replica replica) => !_channels.TryGetValue(replica.Id, out Channel? channel) || channel.HasBus;

    /// <summary>The bus to a replica: a new one where none is, or the last one broke.</summary>
    /// <exception cref="ObjectDisposedException">The replica left.</exception>
    public TokenBus BusOf(Replica replica) => _channels.GetOrAdd(replica.Id, Open, (replica, this)).Bus;

    public void Dispose()
    {
        _fleet.Changed -= CloseThoseThatLeft;
        foreach (ReplicaId id in _channels.Keys)
            Close(id);
    }

    // Opening makes no connection yet: a channel that loses the race to be added costs nothing but itself.
    private static Channel Open(ReplicaId id, (Replica Replica, ReplicaChannels Channels) of)
    {
        (Replica replica, ReplicaChannels channels) = of;
        LinkOptions options = channels._options;
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            ConnectTimeout = options.ConnectTimeout,
            PooledConnectionIdleTimeout = Timeout.InfiniteTimeSpan,
            InitialHttp2StreamWindowSize = 1 << 20,
            // A connection whose packets are lost says nothing by itself; new calls, and the probes, would all go over it.
            KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
            KeepAlivePingDelay = options.KeepAliveInterval,
            KeepAlivePingTimeout = options.KeepAliveTimeout,
        };
        GrpcChannel channel = GrpcChannel.ForAddress($"http://{replica.Description.Address}", new GrpcChannelOptions
        {
            HttpHandler = handler,
            DisposeHttpClient = true,
            MaxReceiveMessageSize = options.MaxMessageBytes,
            MaxSendMessageSize = options.MaxMessageBytes,
            // Retries are the session's business: only it knows what was delivered.
            MaxRetryAttempts = 1,
            ThrowOperationCanceledOnCancellation = true,
        });
        return new Channel(replica, channel, new Inference.InferenceClient(channel), () => channels._admission?.TakeOffer(replica) ?? false);
    }

    private void CloseThoseThatLeft()
    {
        foreach ((ReplicaId id, Channel channel) in _channels)
        {
            if (channel.Replica.Leased == 0 && !_fleet.Current.Replicas.Contains(channel.Replica))
                Close(id);
        }
    }

    private void Close(ReplicaId id)
    {
        if (_channels.TryRemove(id, out Channel? channel))
            channel.Connection.Dispose();
    }

    private sealed record Channel(Replica Replica, GrpcChannel Connection, Inference.InferenceClient Client, Func<bool> TakeOffer)
    {
        private readonly Lock _gate = new();
        private TokenBus? _bus;

        public bool HasBus => Volatile.Read(ref _bus) is not { IsUnknown: true };

        public TokenBus Bus
        {
            get
            {
                if (Volatile.Read(ref _bus) is { IsBroken: false } live)
                    return live;
                lock (_gate)
                    return _bus is { IsBroken: false } ? _bus : _bus = new TokenBus(Client, TakeOffer);
            }
        }
    }
}
