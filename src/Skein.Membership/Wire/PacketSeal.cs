using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Security.Cryptography;

namespace Skein.Membership.Wire;

/// <summary>
/// Puts the header on packets and takes it off, seals and opens them where the cluster has keys, and refuses what is foreign before anything
/// else is read. Every life has its own key, so that its counter can be the nonce: no nonce is ever used twice, however long a cluster lives.
/// </summary>
internal sealed class PacketSeal(uint cluster, ulong self, GossipKeys keys)
{
    private readonly Dictionary<(uint Key, ulong Sender, ulong Generation), AesGcm> _ciphers = [];
    private byte[] _clear = new byte[WireLimits.Datagram];
    private ulong _counter;
    private const int KeyIdBytes = 4;
    private const int CounterBytes = 8;
    private const int TagBytes = 16;
    private const int NonceBytes = 12;

    /// <summary>Derived keys kept at the most; then all are derived anew when needed.</summary>
    private const int MostCiphers = 20_000;

    private ImmutableArray<(uint Id, byte[] Secret)> _keys = Identify(keys);

    /// <summary>Bytes that a sealed packet has between header and body.</summary>
    public int Prefix => _keys.IsEmpty ? 0 : KeyIdBytes + CounterBytes;

    /// <summary>Bytes that a sealed packet has after the body.</summary>
    public int Trailer => _keys.IsEmpty ? 0 : TagBytes;

    /// <summary>Replaces the keys; packets on their way that were sealed with a removed one are lost.</summary>
    /// <exception cref="ArgumentException">From no keys to some or back: those members do not understand each other.</exception>
    public void Use(GossipKeys next)
    {
        if (next.IsEmpty != _keys.IsEmpty)
            throw new ArgumentException("keys cannot be switched on or off in a running cluster", nameof(next));
        _keys = Identify(next);
        Forget();
    }

    /// <summary>Completes a packet whose body ends at <paramref name="end"/>; answers its whole length.</summary>
    public int Close(Span<byte> packet, int end, ulong generation)
    {
        bool sealing = !_keys.IsEmpty;
        new PacketHeader(cluster, self, generation, sealing).WriteTo(packet);
        if (!sealing)
            return end;
        (uint id, byte[] secret) = _keys[0];
        Span<byte> prefix = packet.Slice(PacketHeader.Length, Prefix);
        BinaryPrimitives.WriteUInt32BigEndian(prefix, id);
        BinaryPrimitives.WriteUInt64BigEndian(prefix[KeyIdBytes..], ++_counter);
        Span<byte> nonce = stackalloc byte[NonceBytes];
        WriteNonce(nonce, _counter);
        Span<byte> body = packet[(PacketHeader.Length + Prefix)..end];
        OwnCipher(id, secret, generation).Encrypt(nonce, body, body, packet.Slice(end, TagBytes), packet[..PacketHeader.Length]);
        return end + TagBytes;
    }

    /// <summary>Answers the body of a packet of this cluster, valid until the next one; false for anything else.</summary>
    public bool TryOpen(ReadOnlySpan<byte> packet, out PacketHeader header, out ReadOnlySpan<byte> body)
    {
        body = default;
        bool ours = PacketHeader.TryRead(packet, out header) && header.Cluster == cluster && header.Sender != 0;
        if (!ours || header.Sealed == _keys.IsEmpty)
            return false;
        if (!header.Sealed)
        {
            body = packet[PacketHeader.Length..];
            return true;
        }
        return packet.Length >= PacketHeader.Length + Prefix + TagBytes && TryDecrypt(packet, header, out body);
    }

    private bool TryDecrypt(ReadOnlySpan<byte> packet, scoped in PacketHeader header, out ReadOnlySpan<byte> body)
    {
        body = default;
        ReadOnlySpan<byte> prefix = packet.Slice(PacketHeader.Length, Prefix);
        uint id = BinaryPrimitives.ReadUInt32BigEndian(prefix);
        byte[]? secret = Find(id);
        if (secret is null)
            return false;
        ReadOnlySpan<byte> sealedBody = packet[(PacketHeader.Length + Prefix)..^TagBytes];
        if (_clear.Length < sealedBody.Length)
            _clear = new byte[sealedBody.Length];
        Span<byte> nonce = stackalloc byte[NonceBytes];
        WriteNonce(nonce, BinaryPrimitives.ReadUInt64BigEndian(prefix[KeyIdBytes..]));
        Span<byte> clear = _clear.AsSpan(0, sealedBody.Length);
        // Only a life that proved itself is remembered: an enemy without the key can make us work, but not grow.
        (uint, ulong, ulong) life = (id, header.Sender, header.Generation);
        bool known = _ciphers.TryGetValue(life, out AesGcm? cipher);
        cipher ??= Derive(secret, header.Sender, header.Generation);
        try
        {
            cipher.Decrypt(nonce, sealedBody, packet[^TagBytes..], clear, packet[..PacketHeader.Length]);
        }
        catch (AuthenticationTagMismatchException)
        {
            if (!known)
                cipher.Dispose();
            return false;
        }
        if (!known)
            Remember(life, cipher);
        body = clear;
        return true;
    }

    private byte[]? Find(uint id)
    {
        foreach ((uint known, byte[] secret) in _keys)
            if (known == id)
                return secret;
        return null;
    }

    private AesGcm OwnCipher(uint id, byte[] secret, ulong generation)
    {
        (uint, ulong, ulong) life = (id, self, generation);
        if (!_ciphers.TryGetValue(life, out AesGcm? cipher))
            Remember(life, cipher = Derive(secret, self, generation));
        return cipher;
    }

    private void Remember((uint Key, ulong Sender, ulong Generation) life, AesGcm cipher)
    {
        if (_ciphers.Count >= MostCiphers)
            Forget();
        _ciphers.Add(life, cipher);
    }

    private static AesGcm Derive(byte[] secret, ulong sender, ulong generation)
    {
        Span<byte> life = stackalloc byte[16];
        BinaryPrimitives.WriteUInt64BigEndian(life, sender);
        BinaryPrimitives.WriteUInt64BigEndian(life[8..], generation);
        Span<byte> key = stackalloc byte[GossipKeys.KeyBytes];
        HKDF.DeriveKey(HashAlgorithmName.SHA256, secret, key, salt: default, info: life);
        var cipher = new AesGcm(key, TagBytes);
        CryptographicOperations.ZeroMemory(key);
        return cipher;
    }

    private void Forget()
    {
        foreach (AesGcm cipher in _ciphers.Values)
            cipher.Dispose();
        _ciphers.Clear();
    }

    private static void WriteNonce(Span<byte> nonce, ulong counter)
    {
        nonce[..4].Clear();
        BinaryPrimitives.WriteUInt64BigEndian(nonce[4..], counter);
    }

    private static ImmutableArray<(uint Id, byte[] Secret)> Identify(GossipKeys keys) =>
        [.. keys.Keys.Select(static key => (GossipKeys.IdOf(key), key))];
}
