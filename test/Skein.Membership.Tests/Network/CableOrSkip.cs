using Skein.Load.Chaos.Network;

namespace Skein.Membership.Tests.Network;

/// <summary>Creates the network of a test.</summary>
internal static class CableOrSkip
{
    /// <summary>Creates it, or skips the test with the reason.</summary>
    public static async Task<Cable> CreateAsync(int hosts, int seed)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "network namespaces are a thing of Linux");
        try
        {
            return await Cable.CreateAsync(hosts, seed);
        }
        catch (NetworkNotPermittedException error)
        {
            Assert.Skip($"no network of our own: {error.Message}; run the tests as root, or under 'unshare --user --map-root-user'");
            throw;
        }
    }
}
