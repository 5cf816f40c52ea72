using System.Security.Cryptography;

namespace Skein.Membership.Codec;

/// <summary>
/// Adds and removes the header of packets, seals and opens them if the cluster has keys, and drops foreign packets before they are parsed. Each
/// generation of a member has its own derived key, so that its packet counter is a nonce that never repeats.
/// </summary>
internal sealed class PacketSeal(uint cluster, ulong self, GossipKeys keys)
{
    private readonly Dictionary<(uint Key, ulong Sender, ulong Generation), Peer> _peers = [];
    private byte[] _clear = new byte[WireLimits.Datagram];
    private ulong _counter;
    private const int KeyIdBytes = 4;
    private const int CounterBytes = 8;
    private const int TagBytes = 16;
    private const int NonceBytes = 12;

    /// <summary>Bound of the cached generations, with their derived keys and replay windows. At the bound the cache is cleared.</summary>
    private const int MaxPeers = 20_000;

    private ImmutableArray<(uint Id, byte[] Secret)> _keys = Identify(keys);

    public bool ProvesSenders => !_keys.IsEmpty;

    public int Prefix => _keys.IsEmpty ? 0 : KeyIdBytes + CounterBytes;

    public int Trailer => _keys.IsEmpty ? 0 : TagBytes;

    private uint? KeyId => _keys.IsEmpty ? null : _keys[0].Id;

    /// <summary>Replaces the keys. Packets in flight that were sealed with a removed key are lost.</summary>
    /// <exception cref="ArgumentException">Keys cannot be switched on or off: members with and without keys cannot communicate.</exception>
    public void Use(GossipKeys next)
    {
        if (next.IsEmpty != _keys.IsEmpty)
            throw new ArgumentException("keys cannot be switched on or off in a running cluster", nameof(next));
        _keys = Identify(next);
        // Entries of remaining keys keep their replay windows.
        foreach (var key in _peers.Keys.Where(key => Find(key.Key) is null).ToArray())
            if (_peers.Remove(key, out var removed))
                removed.Cipher.Dispose();
    }

    /// <summary>Completes a packet whose body ends at <paramref name="end"/>; returns its length.</summary>
    public int Close(Span<byte> packet, int end, ulong generation)
    {
        var sealing = !_keys.IsEmpty;
        new PacketHeader(cluster, self, generation, sealing).WriteTo(packet);
        if (!sealing)
            return end;
        (var id, var secret) = _keys[0];
        var prefix = packet.Slice(PacketHeader.Length, Prefix);
        BinaryPrimitives.WriteUInt32BigEndian(prefix, id);
        BinaryPrimitives.WriteUInt64BigEndian(prefix[KeyIdBytes..], ++_counter);
        Span<byte> nonce = stackalloc byte[NonceBytes];
        WriteNonce(nonce, _counter);
        var body = packet[(PacketHeader.Length + Prefix)..end];
        OwnCipher(id, secret, generation).Encrypt(nonce, body, body, packet.Slice(end, TagBytes), packet[..PacketHeader.Length]);
        return end + TagBytes;
    }

    private static uint KeyIdOf(ReadOnlySpan<byte> packet) =>
        packet.Length < PacketHeader.Length + KeyIdBytes ? 0 : BinaryPrimitives.ReadUInt32BigEndian(packet[PacketHeader.Length..]);

    /// <summary>Refuses a TCP request with header and key id, so that the peer can report the cause. Empty unless the peer may be a member.</summary>
    public ReadOnlySpan<byte> Refuse(DropCause cause, Span<byte> packet, ulong generation)
    {
        if (cause is not (DropCause.Version or DropCause.Cluster or DropCause.SealMissing or DropCause.UnknownKey))
            return default;
        new PacketHeader(cluster, self, generation, Sealed: KeyId is not null).WriteTo(packet);
        if (KeyId is not { } id)
            return packet[..PacketHeader.Length];
        BinaryPrimitives.WriteUInt32BigEndian(packet[PacketHeader.Length..], id);
        return packet[..(PacketHeader.Length + KeyIdBytes)];
    }

    public string Explain(DropCause cause, ReadOnlySpan<byte> reply) => cause switch
    {
        DropCause.UnknownKey => $"it answers with gossip key {KeyIdOf(reply):x8}, which this member does not have (its own is {KeyId:x8})",
        DropCause.SealMissing when KeyId is null => "it answers sealed with a gossip key, and this member has none",
        DropCause.SealMissing => $"it answers without a gossip key, and this member has one ({KeyId:x8})",
        DropCause.Cluster => "it answers as a member of a cluster with another name",
        DropCause.Version => "it answers in another version of the gossip protocol",
        // A refusal that names a known key: the peer does not have the key that sealed the request.
        DropCause.Malformed when reply.Length == PacketHeader.Length + KeyIdBytes && KeyId is not null =>
            $"it does not have gossip key {KeyId:x8}, which this member seals with",
        _ => $"its answer cannot be read ({cause})",
    };

    /// <summary>Opens a packet; the body is valid until the next call. Returns why the packet was dropped.</summary>
    /// <remarks>A sealed packet is accepted once, over UDP or TCP: a recorded datagram is not accepted as a TCP request.</remarks>
    public DropCause Open(ReadOnlySpan<byte> packet, out PacketHeader header, out ReadOnlySpan<byte> body)
    {
        body = default;
        var foreign = PacketHeader.Read(packet, out header);
        if (foreign != DropCause.None)
            return foreign;
        if (header.Cluster != cluster)
            return DropCause.Cluster;
        if (header.Sealed == _keys.IsEmpty)
            return DropCause.SealMissing;
        if (header.Sender == 0)
            return DropCause.Malformed;
        if (header.Sealed)
            return Decrypt(packet, header, out body);
        body = packet[PacketHeader.Length..];
        return DropCause.None;
    }

    private DropCause Decrypt(ReadOnlySpan<byte> packet, scoped in PacketHeader header, out ReadOnlySpan<byte> body)
    {
        body = default;
        var id = KeyIdOf(packet);
        var secret = Find(id);
        if (secret is null)
            return DropCause.UnknownKey;
        if (packet.Length < PacketHeader.Length + Prefix + TagBytes)
            return DropCause.Malformed;
        var counter = BinaryPrimitives.ReadUInt64BigEndian(packet[(PacketHeader.Length + KeyIdBytes)..]);
        var sealedBody = packet[(PacketHeader.Length + Prefix)..^TagBytes];
        if (_clear.Length < sealedBody.Length)
            _clear = new byte[sealedBody.Length];
        Span<byte> nonce = stackalloc byte[NonceBytes];
        WriteNonce(nonce, counter);
        var clear = _clear.AsSpan(0, sealedBody.Length);
        // Only an authenticated generation is cached: an attacker without the key cannot grow the cache.
        (uint, ulong, ulong) key = (id, header.Sender, header.Generation);
        var known = _peers.TryGetValue(key, out var peer);
        var cipher = peer?.Cipher ?? Derive(secret, header.Sender, header.Generation);
        try
        {
            cipher.Decrypt(nonce, sealedBody, packet[^TagBytes..], clear, packet[..PacketHeader.Length]);
        }
        catch (AuthenticationTagMismatchException)
        {
            if (!known)
                cipher.Dispose();
            return DropCause.BadTag;
        }
        peer ??= Cache(key, cipher);
        if (!peer.Received.TryAccept(counter))
            return DropCause.Replayed;
        body = clear;
        return DropCause.None;
    }

    private byte[]? Find(uint id)
    {
        foreach ((var known, var secret) in _keys)
            if (known == id)
                return secret;
        return null;
    }

    private AesGcm OwnCipher(uint id, byte[] secret, ulong generation)
    {
        (uint, ulong, ulong) key = (id, self, generation);
        return (_peers.TryGetValue(key, out var own) ? own : Cache(key, Derive(secret, self, generation))).Cipher;
    }

    private Peer Cache((uint Key, ulong Sender, ulong Generation) key, AesGcm cipher)
    {
        if (_peers.Count >= MaxPeers)
        {
            foreach (var cached in _peers.Values)
                cached.Cipher.Dispose();
            _peers.Clear();
        }
        var peer = new Peer(cipher, new ReplayWindow());
        _peers.Add(key, peer);
        return peer;
    }

    private static AesGcm Derive(byte[] secret, ulong sender, ulong generation)
    {
        Span<byte> info = stackalloc byte[16];
        BinaryPrimitives.WriteUInt64BigEndian(info, sender);
        BinaryPrimitives.WriteUInt64BigEndian(info[8..], generation);
        Span<byte> key = stackalloc byte[GossipKeys.KeyBytes];
        HKDF.DeriveKey(HashAlgorithmName.SHA256, secret, key, salt: default, info);
        var cipher = new AesGcm(key, TagBytes);
        CryptographicOperations.ZeroMemory(key);
        return cipher;
    }

    private static void WriteNonce(Span<byte> nonce, ulong counter)
    {
        nonce[..4].Clear();
        BinaryPrimitives.WriteUInt64BigEndian(nonce[4..], counter);
    }

    private static ImmutableArray<(uint Id, byte[] Secret)> Identify(GossipKeys keys) =>
        [.. keys.Keys.Select(static key => (GossipKeys.IdOf(key), key))];

    private sealed record Peer(AesGcm Cipher, ReplayWindow Received);
}
