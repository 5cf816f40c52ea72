namespace Skein.Protocol;

/// <summary>Roles of members in gossip, status and metrics.</summary>
public static class Roles
{
    /// <summary>Accepts clients' requests.</summary>
    public const string Gateway = "gateway";

    /// <summary>Serves models through one engine.</summary>
    public const string Replica = "replica";
}
