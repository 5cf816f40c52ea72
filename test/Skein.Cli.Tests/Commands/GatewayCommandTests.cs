using Skein.Cli.Commands;
using Skein.Gateway.Keys;

namespace Skein.Cli.Tests.Commands;

public sealed class GatewayCommandTests
{
    /// <summary>A key file without an admin key closed /admin and /metrics to everybody, and nothing said so.</summary>
    [Theory]
    [InlineData(false, 1)]
    [InlineData(true, 0)]
    public void WarningsOf_FileOfKeys_SaysIfNobodyIsAdmin(bool admin, int warnings) =>
        Assert.Equal(warnings, GatewayCommand.WarningsOf(new ApiKeyRing([new ApiKey { Name = "a", Hash = ApiKey.HashOf("secret"), Admin = admin }])).Count());
}
