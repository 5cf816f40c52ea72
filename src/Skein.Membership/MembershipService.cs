using Microsoft.Extensions.Logging;
using Skein.Membership.Transport;
using Skein.Protocol.V1;

namespace Skein.Membership;

public static class MembershipService
{
    /// <summary>
    /// Binds the gossip port, asks the seeds for the group, checks that the name is free and joins. Completes as soon as one seed has replied, or
    /// every seed was tried once. Unreachable seeds are not an error: the snapshot reports them, and they are tried again.
    /// </summary>
    /// <param name="loggers">Creates the logger of category <c>Skein.Membership</c>.</param>
    /// <param name="cancellationToken">Cancels the start and releases the port.</param>
    /// <exception cref="ArgumentException">An option is invalid, or the metadata exceeds 512 bytes.</exception>
    /// <exception cref="MembershipException">The port is in use, or the name is taken.</exception>
    public static async Task<IMembership> StartAsync(
        MembershipOptions options, MemberMetadata metadata, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        options.Validate();
        var encoded = MembershipOptions.Encode(metadata);
        var port = GossipPort.Bind(options.Bind);
        var member = new GossipMember(options, encoded, port, time, loggers.CreateLogger("Skein.Membership"));
        try
        {
            await member.StartAsync().WaitAsync(cancellationToken);
            return member;
        }
        catch
        {
            await member.DisposeAsync();
            throw;
        }
    }
}

/// <summary>Why a member cannot start.</summary>
public enum MembershipError
{
    /// <summary>The gossip port cannot be bound.</summary>
    AddressInUse,

    /// <summary>Another process answers under this member's name.</summary>
    NameTaken,
}

/// <summary>A member cannot start. The message is one line for the operator.</summary>
public sealed class MembershipException(MembershipError error, string message, Exception? innerException = null) : Exception(message, innerException)
{
    public MembershipError Error { get; } = error;
}
