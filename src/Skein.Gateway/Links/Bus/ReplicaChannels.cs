using System.Collections.Concurrent;
using System.Net.Http;
using Grpc.Net.Client;
using Skein.Protocol.V1;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;

namespace Skein.Gateway.Links.Bus;

/// <summary>
/// One multiplexed HTTP/2 connection per replica life. It is closed once that life has left the fleet and nothing runs over it; a life that was given up for
/// dead and comes back finds its own again. Thread-safe.
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

    public Inference.InferenceClient ClientOf(Replica replica) => ChannelOf(replica).Client;

    /// <summary>False once the replica was found to know no bus.</summary>
    public bool HasBus(Replica replica) => !_channels.TryGetValue(replica.Id, out var channel) || channel.HasBus;

    /// <summary>The bus to a replica: a new one where none is, or the last one broke.</summary>
    /// <exception cref="ObjectDisposedException">The replica left.</exception>
    public TokenBus BusOf(Replica replica) => ChannelOf(replica).Bus;

    public void Dispose()
    {
        _fleet.Changed -= CloseThoseThatLeft;
        foreach (var id in _channels.Keys)
            Close(id);
    }

    private Channel ChannelOf(Replica replica)
    {
        var channel = _channels.GetOrAdd(replica.Id, static (_, of) => of.Channels.Open(of.Replica), (Channels: this, Replica: replica));
        channel.UsedFor(replica);
        return channel;
    }

    // Opening makes no connection yet: a channel that loses the race to be added costs nothing but itself.
    private Channel Open(Replica replica)
    {
        var options = _options;
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
        var channel = GrpcChannel.ForAddress($"http://{replica.Description.Address}", new GrpcChannelOptions
        {
            HttpHandler = handler,
            DisposeHttpClient = true,
            MaxReceiveMessageSize = options.MaxMessageBytes,
            MaxSendMessageSize = options.MaxMessageBytes,
            // Retries are the session's business: only it knows what was delivered.
            MaxRetryAttempts = 1,
            ThrowOperationCanceledOnCancellation = true,
        });
        return new Channel(replica, channel, new Inference.InferenceClient(channel), _admission);
    }

    private void CloseThoseThatLeft()
    {
        HashSet<ReplicaId> present = [.. _fleet.Current.Replicas.Select(replica => replica.Id)];
        foreach ((var id, var channel) in _channels)
        {
            if (!present.Contains(id) && !channel.IsInUse)
                Close(id);
        }
    }

    private void Close(ReplicaId id)
    {
        if (_channels.TryRemove(id, out var channel))
            channel.Connection.Dispose();
    }

    private sealed class Channel(Replica replica, GrpcChannel connection, Inference.InferenceClient client, AdmissionQueue? admission)
    {
        private readonly Lock _gate = new();
        private Replica[] _users = [replica];
        private TokenBus? _bus;

        public GrpcChannel Connection => connection;

        public Inference.InferenceClient Client => client;

        public bool HasBus => Volatile.Read(ref _bus) is not { IsUnknown: true };

        public bool IsInUse => Volatile.Read(ref _users).Any(user => user.Leased > 0);

        public TokenBus Bus
        {
            get
            {
                if (Volatile.Read(ref _bus) is { IsBroken: false } live)
                    return live;
                lock (_gate)
                    return _bus is { IsBroken: false } ? _bus : _bus = new TokenBus(client, TakeOffer);
            }
        }

        /// <summary>A life that left the fleet and came back is another <see cref="Replica"/>; what runs for the one before goes on.</summary>
        public void UsedFor(Replica replica)
        {
            if (Volatile.Read(ref _users)[^1] == replica)
                return;
            lock (_gate)
                _users = [.. _users.Where(user => user != replica && user.Leased > 0), replica];
        }

        private bool TakeOffer() => admission?.TakeOffer(Volatile.Read(ref _users)[^1]) ?? false;
    }
}
