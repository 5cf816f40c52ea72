using System.Net;
using System.Net.Http.Headers;
using Grpc.Core;
using Grpc.Net.Client;
using Skein.Gateway.Keys;
using Skein.Protocol.V1;

namespace Skein.Gateway.Tests.Security;

/// <summary>Keys for administration and for metrics alone, with and without keys of clients.</summary>
public sealed class AdminKeyTests : WholeGateway
{
    private static readonly ApiKey[] Keys =
    [
        new() { Name = "ops", Hash = ApiKey.HashOf("sk-ops"), Admin = true },
        new() { Name = "prometheus", Hash = ApiKey.HashOf("sk-prometheus"), Metrics = MetricsAccess.Only },
        new() { Name = "alice", Hash = ApiKey.HashOf("sk-alice") },
        new() { Name = "bob", Hash = ApiKey.HashOf("sk-bob"), Metrics = MetricsAccess.Also },
    ];

    [Theory]
    [InlineData(true, "/v1/models", null, 200)]
    [InlineData(true, "/v1/models", "sk-any-text", 200)]
    [InlineData(true, "/version", null, 200)]
    [InlineData(true, "/admin/v1/members", null, 401)]
    [InlineData(true, "//admin/v1/members", null, 404)]
    [InlineData(true, "/ADMIN/v1/members", null, 401)]
    [InlineData(true, "/metrics", null, 401)]
    [InlineData(true, "/metrics", "sk-any-text", 401)]
    [InlineData(true, "/admin/v1/members", "sk-ops", 200)]
    [InlineData(true, "/metrics", "sk-ops", 200)]
    [InlineData(true, "/metrics", "sk-prometheus", 200)]
    [InlineData(true, "/admin/v1/members", "sk-prometheus", 403)]
    [InlineData(false, "/v1/models", null, 401)]
    [InlineData(false, "/v1/models", "sk-alice", 200)]
    [InlineData(false, "/metrics", "sk-alice", 403)]
    [InlineData(false, "/metrics", "sk-bob", 200)]
    [InlineData(false, "/v1/models", "sk-bob", 200)]
    [InlineData(false, "/admin/v1/members", "sk-bob", 403)]
    [InlineData(false, "/metrics", "sk-prometheus", 200)]
    [InlineData(false, "/v1/models", "sk-prometheus", 403)]
    [InlineData(false, "/version", "sk-prometheus", 403)]
    [InlineData(false, "/v1/models", "sk-ops", 200)]
    public async Task Get_EachKindOfKey_OpensWhatItIsFor(bool isOpenToClients, string path, string? secret, int status)
    {
        Gateway.Keys.Use(new ApiKeyRing(Keys) { IsOpenToClients = isOpenToClients });
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://{Gateway.Http}{path}");
        if (secret is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", secret);

        using var response = await Client.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(status, (int)response.StatusCode);
    }

    [Fact]
    public async Task ListMembers_OpenToClients_NeedsAnAdminKey()
    {
        Gateway.Keys.Use(new ApiKeyRing(Keys) { IsOpenToClients = true });
        using var channel = GrpcChannel.ForAddress($"http://{Gateway.Grpc}");
        var admin = new Protocol.V1.Admin.AdminClient(channel);

        var refused = await Assert.ThrowsAsync<RpcException>(async () => await admin.ListMembersAsync(new ListMembersRequest()));
        var served = await admin.ListMembersAsync(new ListMembersRequest(), new Metadata { { "authorization", "Bearer sk-ops" } });

        Assert.Equal(StatusCode.Unauthenticated, refused.StatusCode);
        Assert.Empty(served.Members);
    }

    [Fact]
    public void ToJson_Metrics_IsReadBack()
    {
        var read = ApiKeyRing.Parse(new ApiKeyRing(Keys).ToJson()).Keys;

        Assert.Equal(Keys.Select(key => key.Metrics), read.Select(key => key.Metrics));
        Assert.Contains("\"metrics\": \"only\"", new ApiKeyRing(Keys).ToJson(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"metrics\": 2")]
    [InlineData("\"metrics\": \"all\"")]
    [InlineData("\"metrics\": \"only\", \"admin\": true")]
    public void Parse_MetricsThatAreNotAllowed_AreRefused(string member) =>
        Assert.ThrowsAny<ArgumentException>(() => ApiKeyRing.Parse($$"""{"keys": [{"name": "a", "hash": "{{ApiKey.HashOf("sk-a")}}", {{member}}}]}"""));
}
