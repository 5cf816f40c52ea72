using Microsoft.Extensions.Logging;
using Skein.Membership.Core;

namespace Skein.Membership.Transport;

/// <summary>
/// Counts what was dropped, by cause, and tells an operator: at once when a cause is new, then once a minute as long as it goes on, so that
/// a flood fills no disk. Written by the loop; the counts may be read by anybody.
/// </summary>
internal sealed partial class DropLog(ILogger log)
{
    private readonly Drops[] _byCause = [.. Enum.GetValues<DropCause>().Select(static _ => new Drops())];

    /// <summary>Shortest time between two lines about one cause.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);

    public long Count(DropCause cause) => Interlocked.Read(ref _byCause[(int)cause].Count);

    public void Note(DropCause cause, PeerAddress from, TimeSpan now)
    {
        var drops = _byCause[(int)cause];
        var count = Interlocked.Increment(ref drops.Count);
        if (now < drops.TellFrom)
            return;
        drops.TellFrom = now + Interval;
        Log.Dropped(log, Describe(cause), from, count);
    }

    private static string Describe(DropCause cause) => cause switch
    {
        DropCause.Oversized => "longer than allowed",
        DropCause.Version => "another version of the gossip protocol",
        DropCause.Cluster => "of a cluster with another name",
        DropCause.SealMissing => "sealed with a gossip key where this member has none, or not sealed where it has one",
        DropCause.UnknownKey => "sealed with a gossip key that this member does not have",
        DropCause.BadTag => "not sealed with the gossip key that it names: forged or damaged",
        DropCause.Replayed => "a copy of an earlier one",
        _ => "not gossip, or malformed",
    };

    private sealed class Drops
    {
        public long Count;

        public TimeSpan TellFrom { get; set; }
    }

    private static partial class Log
    {
        [LoggerMessage(3004, LogLevel.Warning, "Dropped a packet from {Address}: {Why} ({Count} so far)")]
        public static partial void Dropped(ILogger logger, string why, PeerAddress address, long count);
    }
}
