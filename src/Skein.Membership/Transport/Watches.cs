using Skein.Membership.Core;

namespace Skein.Membership.Transport;

/// <summary>The connections that the core wants held, one a slot. Touched by the loop only; <paramref name="post"/> leads back to it.</summary>
internal sealed class Watches(StreamPort streams, Action<Action<MembershipCore, TimeSpan>> post, CancellationToken stopping)
{
    private readonly Dictionary<int, CancellationTokenSource> _held = [];

    /// <summary>Holds a connection to that peer in place of the one before; none where the address is.</summary>
    public void Hold(int slot, PeerAddress to, ReadOnlySpan<byte> request)
    {
        if (_held.Remove(slot, out var before))
        {
            before.Cancel();
            before.Dispose();
        }
        if (to.IsNone)
            return;
        var cancel = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        _held[slot] = cancel;
        _ = HoldAsync(slot, to, request.ToArray(), cancel, cancel.Token);
    }

    private async Task HoldAsync(int slot, PeerAddress to, byte[] request, CancellationTokenSource owner, CancellationToken replaced)
    {
        await streams.HoldAsync(to, request, replaced);
        if (!replaced.IsCancellationRequested)
            post((core, now) => Ended(core, slot, to, owner, now));
    }

    private void Ended(MembershipCore core, int slot, PeerAddress to, CancellationTokenSource owner, TimeSpan now)
    {
        // Replaced in the meantime: the core has another peer in that slot.
        if (_held.GetValueOrDefault(slot) != owner)
            return;
        _held.Remove(slot);
        owner.Dispose();
        core.WatchEnded(slot, to, now);
    }
}
