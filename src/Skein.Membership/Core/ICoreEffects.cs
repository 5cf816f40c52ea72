using Skein.Membership.Codec;

namespace Skein.Membership.Core;

/// <summary>
/// What the core wants done. Calls come synchronously out of a call into the core; spans are valid during the call only. The results of
/// <see cref="Exchange"/> and <see cref="Resolve"/> come back as inputs.
/// </summary>
internal interface ICoreEffects
{
    /// <summary>Sends one datagram; losing it is allowed.</summary>
    void Send(PeerAddress to, ReadOnlySpan<byte> datagram);

    /// <summary>Opens a stream, sends the request, waits for one reply; answers by <see cref="MembershipCore.ExchangeEnded"/>.</summary>
    void Exchange(ExchangeToken token, PeerAddress to, ReadOnlySpan<byte> request, TimeSpan timeout);

    /// <summary>
    /// Holds a connection to that peer in that slot, in place of the one before; <c>default</c> closes only. Answers by
    /// <see cref="MembershipCore.WatchEnded"/> when it cannot be made or breaks.
    /// </summary>
    void Watch(int slot, PeerAddress to, ReadOnlySpan<byte> request);

    /// <summary>Looks up the address of a seed; answers by <see cref="MembershipCore.SeedResolved"/>.</summary>
    void Resolve(int seed);

    /// <summary>A member told its load.</summary>
    void BeaconReceived(MemberRecord from, LoadUpdate load);

    /// <summary>Something an operator or a test may want to see.</summary>
    void Report(CoreEvent what, MemberRecord about);
}

/// <summary>For whom an exchange is made.</summary>
internal readonly record struct ExchangeToken(ExchangePurpose Purpose, ulong Key);

internal enum ExchangePurpose
{
    Probe,
    Seed,
    NameCheck,
    AntiEntropy,
}

internal enum ExchangeOutcome
{
    /// <summary>A reply came.</summary>
    Replied,

    /// <summary>The host answered, and nobody listens there: the process is gone.</summary>
    Refused,

    /// <summary>Silence, or the connection broke.</summary>
    Failed,

    /// <summary>A reply came that is not for us: another cluster, version or key.</summary>
    Unreadable,
}

internal enum CoreEvent
{
    Joined,
    Suspected,
    Refuted,
    Died,
    Left,

    /// <summary>This member was accused and answered with a higher incarnation.</summary>
    RefutedOwn,

    /// <summary>A newer life of this member's name is there; the record is its.</summary>
    Superseded,

    /// <summary>An older life of this member's name answers, so that this one must not start.</summary>
    NameTaken,

    /// <summary>The name is free, this member takes part from now on.</summary>
    Activated,

    /// <summary>This member has said goodbye to all.</summary>
    Goodbye,

    /// <summary>The group is at its bound; a newcomer was not taken.</summary>
    GroupFull,

    /// <summary>The process stood still; the verdicts of that time are void.</summary>
    WokeUp,
}
