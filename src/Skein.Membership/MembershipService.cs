using Microsoft.Extensions.Logging;
using Skein.Membership.Transport;
using Skein.Protocol.V1;

namespace Skein.Membership;

/// <summary>Makes a process a member of a cluster.</summary>
public static class MembershipService
{
    /// <summary>
    /// Binds the gossip port, asks the seeds who is there, checks that the name is free, and takes part. Ends as soon as one seed has told
    /// the group, or when every seed was tried once: unreachable seeds are no error, they are reported in the snapshot and tried again.
    /// </summary>
    /// <param name="options">Checked here.</param>
    /// <param name="metadata">What this member tells about itself; not kept.</param>
    /// <param name="time">Clock of this process.</param>
    /// <param name="loggers">For the category <c>Skein.Membership</c>.</param>
    /// <param name="cancellationToken">Gives up; the port is free again then.</param>
    /// <exception cref="MembershipException">An option is wrong, the port is in use, or the name answers elsewhere.</exception>
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
