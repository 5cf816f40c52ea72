using Grpc.Net.Client;

namespace Skein.Gateway.Links.Bus;

/// <summary>The connection to one generation of a replica, and the bus on it. Thread-safe.</summary>
/// <param name="calls">Calls on <paramref name="connection"/>.</param>
/// <param name="admission">Receives the slots that the replica offers; null: they are declined.</param>
internal sealed class ReplicaChannel(Replica replica, GrpcChannel connection, CallInvoker calls, AdmissionQueue? admission)
{
    private readonly Lock _gate = new();
    private volatile Replica _replica = replica;
    private TokenBus? _bus;
    private int _uses;
    private bool _isClosed;
    private bool _hasLeft;

    public Inference.InferenceClient Client { get; } = new(calls);

    /// <summary>False once the replica was found not to know the bus.</summary>
    public bool HasBus => Volatile.Read(ref _bus) is not { IsUnknown: true };

    /// <summary>Whether the generation has left the fleet.</summary>
    public bool HasLeft
    {
        get => Volatile.Read(ref _hasLeft);
        set
        {
            lock (_gate)
                _hasLeft = value;
        }
    }

    /// <summary>The bus; a new one if there is none or the last one broke.</summary>
    /// <exception cref="ObjectDisposedException">The channel is closed.</exception>
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

    /// <summary>Counts a use.</summary>
    /// <param name="replica">The newest object of the generation, which receives offers: a generation that left the fleet and returned has a new one.</param>
    /// <returns>False when the channel is closed.</returns>
    public bool TryUse(Replica replica)
    {
        lock (_gate)
        {
            if (_isClosed)
                return false;
            _uses++;
            _replica = replica;
            return true;
        }
    }

    /// <returns>True when the channel can be closed.</returns>
    public bool EndUse()
    {
        lock (_gate)
            return --_uses == 0 && HasLeft;
    }

    /// <summary>Closes the channel of a generation that has left the fleet, unless it is used.</summary>
    /// <param name="always">Closes it and everything that uses it.</param>
    public bool TryClose(bool always = false)
    {
        lock (_gate)
        {
            if (!always && (_uses > 0 || !HasLeft))
                return false;
            _isClosed = true;
        }
        connection.Dispose();
        return true;
    }

    private bool TakeOffer() => admission?.TakeOffer(_replica) ?? false;
}
