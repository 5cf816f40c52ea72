namespace Skein.Membership.Core;

/// <summary>One probe in flight; reused.</summary>
internal sealed class Probe
{
    private readonly HashSet<ulong> _silentHelpers = [];

    public MemberRecord Target { get; private set; } = null!;

    /// <summary>The life that is probed.</summary>
    public ulong Generation { get; private set; }

    public TimeSpan Started { get; private set; }

    /// <summary>Others were heard shortly before.</summary>
    public bool InTouch { get; private set; }

    /// <summary>Members that were asked to probe too.</summary>
    public int Helpers { get; private set; }

    /// <summary>Helpers that neither brought an ack nor said that they found silence: a sign that we are deaf ourselves.</summary>
    public int MissedNacks => _silentHelpers.Count;

    public bool AllHelpersDenied => Helpers > 0 && _silentHelpers.Count == 0;

    /// <summary>No answer can come over TCP any more.</summary>
    public bool TcpEnded { get; set; }

    public void Begin(MemberRecord target, TimeSpan now, bool inTouch)
    {
        (Target, Generation, Started, InTouch) = (target, target.Generation, now, inTouch);
        Helpers = 0;
        TcpEnded = true;
        _silentHelpers.Clear();
    }

    public void AddHelper(ulong id)
    {
        if (_silentHelpers.Add(id))
            Helpers++;
    }

    public bool CountNack(ulong helper) => _silentHelpers.Remove(helper);
}
