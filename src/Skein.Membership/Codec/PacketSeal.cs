using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Security.Cryptography;

namespace Skein.Membership.Codec;

/// <summary>
/// Puts the header on packets and takes it off, seals and opens them where the cluster has keys, and refuses what is foreign before anything
/// else is read. Every life has its own key, so that its counter can be the nonce: no nonce is ever used twice, however long a cluster lives.
/// </summary>
internal sealed class PacketSeal(uint cluster, ulong self, GossipKeys keys)
{
    private readonly Dictionary<(uint Key, ulong Sender, ulong Generation), Life> _lives = [];
    private byte[] _clear = new byte[WireLimits.Datagram];
    private ulong _counter;
    private const int KeyIdBytes = 4;
    private const int CounterBytes = 8;
    private const int TagBytes = 16;
    private const int NonceBytes = 12;

    /// <summary>Lives remembered at the most, with their key and what came from them; then all are learnt anew.</summary>
    private const int MostLives = 20_000;

    private ImmutableArray<(uint Id, byte[] Secret)> _keys = Identify(keys);

    /// <summary>Bytes that a sealed packet has between header and body.</summary>
    public int Prefix => _keys.IsEmpty ? 0 : KeyIdBytes + CounterBytes;

    /// <summary>Bytes that a sealed packet has after the body.</summary>
    public int Trailer => _keys.IsEmpty ? 0 : TagBytes;

    /// <summary>Names the key that seals; null where there is none.</summary>
    private uint? KeyId => _keys.IsEmpty ? null : _keys[0].Id;

    /// <summary>Replaces the keys; packets on their way that were sealed with a removed one are lost.</summary>
    /// <exception cref="ArgumentException">From no keys to some or back: those members do not understand each other.</exception>
    public void Use(GossipKeys next)
    {
        if (next.IsEmpty != _keys.IsEmpty)
            throw new ArgumentException("keys cannot be switched on or off in a running cluster", nameof(next));
        _keys = Identify(next);
        // Lives under a key that stays keep their windows: what was recorded under it must not pass once more.
        foreach (var life in _lives.Keys.Where(life => Find(life.Key) is null).ToArray())
            if (_lives.Remove(life, out var gone))
                gone.Cipher.Dispose();
    }

    /// <summary>Completes a packet whose body ends at <paramref name="end"/>; answers its whole length.</summary>
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

    /// <summary>The key id that a sealed packet names; 0 where it is too short to name one.</summary>
    public static uint KeyIdOf(ReadOnlySpan<byte> packet) =>
        packet.Length < PacketHeader.Length + KeyIdBytes ? 0 : BinaryPrimitives.ReadUInt32BigEndian(packet[PacketHeader.Length..]);

    /// <summary>What to answer over TCP to a request that was not opened for that reason; empty where it is worth no answer.</summary>
    public ReadOnlySpan<byte> Refuse(DropCause cause, Span<byte> packet, ulong generation) =>
        PacketRefusal.IsWorthwhile(cause) ? packet[..PacketRefusal.Write(packet, cluster, self, generation, KeyId)] : default;

    /// <summary>Why that answer over TCP could not be opened, in words for an operator.</summary>
    public string Explain(DropCause cause, ReadOnlySpan<byte> answer) => PacketRefusal.Explain(cause, answer, KeyId);

    /// <summary>Takes the body out of a packet of this cluster, valid until the next one; answers why not otherwise.</summary>
    /// <remarks>A sealed one passes once, whichever way it comes: a recorded datagram is no request over TCP either.</remarks>
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
        // Only a life that proved itself is remembered: an enemy without the key can make us work, but not grow.
        (uint, ulong, ulong) key = (id, header.Sender, header.Generation);
        var known = _lives.TryGetValue(key, out var life);
        var cipher = life?.Cipher ?? Derive(secret, header.Sender, header.Generation);
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
        life ??= Remember(key, cipher);
        if (!life.Received.TryPass(counter))
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
        var life = _lives.TryGetValue(key, out var known) ? known : Remember(key, Derive(secret, self, generation));
        return life.Cipher;
    }

    private Life Remember((uint Key, ulong Sender, ulong Generation) key, AesGcm cipher)
    {
        if (_lives.Count >= MostLives)
            Forget();
        var life = new Life(cipher, new ReplayWindow());
        _lives.Add(key, life);
        return life;
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
        foreach (var life in _lives.Values)
            life.Cipher.Dispose();
        _lives.Clear();
    }

    private static void WriteNonce(Span<byte> nonce, ulong counter)
    {
        nonce[..4].Clear();
        BinaryPrimitives.WriteUInt64BigEndian(nonce[4..], counter);
    }

    private static ImmutableArray<(uint Id, byte[] Secret)> Identify(GossipKeys keys) =>
        [.. keys.Keys.Select(static key => (GossipKeys.IdOf(key), key))];

    /// <summary>One life of one member under one key.</summary>
    private sealed record Life(AesGcm Cipher, ReplayWindow Received);
}
