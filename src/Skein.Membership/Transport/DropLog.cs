using Microsoft.Extensions.Logging;
using Skein.Membership.Codec;

namespace Skein.Membership.Transport;

/// <summary>Counts dropped packets by cause and logs each cause at most once a minute. Written by the loop; counts can be read from any thread.</summary>
internal sealed partial class DropLog(ILogger log)
{
    private readonly long[] _counts = new long[Enum.GetValues<DropCause>().Length];
    private readonly TimeSpan[] _logFrom = new TimeSpan[Enum.GetValues<DropCause>().Length];

    private static readonly TimeSpan LogInterval = TimeSpan.FromMinutes(1);

    public long Count(DropCause cause) => Interlocked.Read(ref _counts[(int)cause]);

    public void Add(DropCause cause, PeerAddress from, TimeSpan now)
    {
        var count = Interlocked.Increment(ref _counts[(int)cause]);
        if (now < _logFrom[(int)cause])
            return;
        _logFrom[(int)cause] = now + LogInterval;
        Log.Dropped(log, Describe(cause), from, count);
    }

    private static string Describe(DropCause cause) => cause switch
    {
        DropCause.Oversized => "it exceeds the length limit",
        DropCause.Version => "it uses another version of the gossip protocol",
        DropCause.Cluster => "it belongs to a cluster with another name",
        DropCause.SealMissing => "either it or this member has no gossip key, and the other has one",
        DropCause.UnknownKey => "it is sealed with a gossip key that this member does not have",
        DropCause.BadTag => "it was not sealed with the gossip key that it names; it is forged or damaged",
        DropCause.Replayed => "it is a copy of an earlier packet",
        _ => "it is not a gossip packet, or it is malformed",
    };

    private static partial class Log
    {
        [LoggerMessage(1004, LogLevel.Warning, "Dropped a packet from {Address}: {Why} ({Count} so far)")]
        public static partial void Dropped(ILogger logger, string why, PeerAddress address, long count);
    }
}
