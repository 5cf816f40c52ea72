using System.Collections.Concurrent;
using System.Threading.Channels;
using Skein.Membership.Core;
using Skein.Membership.Codec;

namespace Skein.Membership.Transport;

/// <summary>The newest beacon of each member. Written by the loop; readable from any thread.</summary>
internal sealed class LoadBeaconStore(TimeProvider time, TimeSpan lifetime)
{
    private readonly ConcurrentDictionary<string, LoadBeacon> _newest = new(StringComparer.Ordinal);

    // Holds one mark however many beacons arrive, so that the gossip loop never waits for the reader.
    private readonly Channel<bool> _arrived = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    public void Put(MemberRecord member, LoadUpdate load)
    {
        _newest[member.Name] = new LoadBeacon(member.Generation, (int)load.InFlight, (int)load.Queued, load.Sequence, time.GetTimestamp());
        _arrived.Writer.TryWrite(true);
    }

    public async ValueTask WaitAsync(CancellationToken cancellationToken) => await _arrived.Reader.ReadAsync(cancellationToken);

    public void Remove(string name) => _newest.TryRemove(name, out _);

    public bool TryGet(string name, [NotNullWhen(true)] out LoadBeacon? beacon) =>
        _newest.TryGetValue(name, out beacon) && time.GetElapsedTime(beacon.ReceivedAt) <= lifetime;
}
