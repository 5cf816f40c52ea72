using Skein.Membership.Core;

namespace Skein.Membership.Tests.Hostile;

/// <summary>The whole view of a member as text. Equal texts mean equal views.</summary>
internal static class Views
{
    public static string Of(MembershipCore core) => string.Join('\n', core.Table.All.OrderBy(static record => record.Name, StringComparer.Ordinal).Select(static record =>
        $"{record.Name} {record.State} generation {record.Generation} incarnation {record.Incarnation} at {record.Address} "
        + $"metadata {record.MetadataSequence} {Convert.ToHexString(record.Metadata)} load {record.Details.Load.Sequence} beacon {record.Details.BeaconSequence}"));
}
