namespace Skein.Membership;

/// <summary>How it stands with one seed.</summary>
/// <param name="Address">As configured.</param>
/// <param name="Reached">It answered when it was last asked.</param>
/// <param name="Problem">Why it did not; null where it did, or was not asked yet.</param>
public sealed record SeedStatus(string Address, bool Reached, string? Problem);
