namespace Skein.Membership.Core;

/// <summary>
/// What an address that nobody vouches for may draw: never more bytes than it sent. Without keys the source of a datagram may be forged, and
/// whoever answers with more serves as an amplifier (the limit of QUIC before it has validated an address, RFC 9000, section 8.1). Each
/// datagram pays for its own answers, so that there is no table of sources to fill.
/// </summary>
internal sealed class AmplificationLimit
{
    private PeerAddress? _stranger;
    private int _bytesLeft;

    /// <summary>A stranger's datagram is being handled.</summary>
    public bool Applies => _stranger is not null;

    public void Begin(PeerAddress stranger, int bytesReceived) => (_stranger, _bytesLeft) = (stranger, bytesReceived);

    public void End() => _stranger = null;

    public bool Covers(PeerAddress to) => _stranger == to;

    /// <summary>Whether a datagram may go there; takes it off what is left.</summary>
    public bool TrySpend(PeerAddress to, int bytes)
    {
        if (!Covers(to))
            return true;
        if (bytes > _bytesLeft)
            return false;
        _bytesLeft -= bytes;
        return true;
    }
}
