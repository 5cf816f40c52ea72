using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Skein.Gateway.Keys;

namespace Skein.Gateway.Tests.Api.OpenAi;

/// <summary>Clients choose from the list: a model that the key does not allow would be refused.</summary>
public sealed class ModelsOfKeyTests
{
    [Theory]
    [InlineData("sk-some", new[] { "tiny" })]
    [InlineData("sk-all", new[] { "tiny", "org/big \"q\"" })]
    public async Task Get_Models_AreThoseThatTheKeyAllows(string secret, string[] allowed)
    {
        await using var gateway = await TestGateway.StartAsync(keys: new ApiKeyRing(
        [
            new ApiKey { Name = "some", Hash = ApiKey.HashOf("sk-some"), Models = ["tiny", "gone"] },
            new ApiKey { Name = "all", Hash = ApiKey.HashOf("sk-all") },
        ]));
        gateway.Client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", secret);

        using var list = JsonDocument.Parse(await gateway.Client.GetStringAsync("/v1/models"));
        Assert.Equal(allowed, list.RootElement.GetProperty("data").EnumerateArray().Select(model => model.GetProperty("id").GetString()));

        foreach (var model in (string[])["tiny", "org/big \"q\""])
        {
            using var one = await gateway.Client.GetAsync($"/v1/models/{Uri.EscapeDataString(model)}");
            Assert.Equal(allowed.Contains(model) ? HttpStatusCode.OK : HttpStatusCode.NotFound, one.StatusCode);
        }
    }
}
