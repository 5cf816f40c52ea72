namespace Skein.Serving;

/// <summary>
/// One connection's subscription to offers of free slots. The connection does not know its gateway's name; its requests do. Thread-safe.
/// </summary>
public sealed class OfferSubscription : IDisposable
{
    private readonly SlotTable _slots;
    private readonly Action<uint> _offered;
    private readonly Lock _gate = new();
    private volatile string _gateway = "";

    internal OfferSubscription(SlotTable slots, Action<uint> offered) => (_slots, _offered) = (slots, offered);

    /// <summary>From now on offers to this gateway are sent here. Empty and overlong names are ignored: the host refuses their requests.</summary>
    public void ListenAs(string caller)
    {
        if (caller.Length is 0 or > EngineHost.MostNameBytes || string.Equals(caller, _gateway, StringComparison.Ordinal))
            return;

        lock (_gate)
        {
            _slots.StopListening(_gateway, _offered);
            _gateway = caller;
            _slots.Listen(caller, _offered);
        }
    }

    /// <summary>Gives an offered slot back.</summary>
    public void Decline(uint offer) => _slots.Decline(_gateway, offer);

    public void Dispose() => _slots.StopListening(_gateway, _offered);
}
