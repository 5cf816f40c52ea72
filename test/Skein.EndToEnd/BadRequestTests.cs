using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Skein.EndToEnd.Support;

namespace Skein.EndToEnd;

/// <summary>Wrong requests get the right status and a message that names the wrong field.</summary>
[Collection(EmbeddedCluster.Name)]
public class BadRequestTests(EmbeddedCluster shared)
{
    private const string Messages = """ "messages":[{"role":"user","content":"hi"}] """;

    [Theory]
    [InlineData("{" + Messages + """, "model":"no-such-model"}""", 404, "model_not_found", "no-such-model")]
    [InlineData("""{"messages":[]}""", 400, null, "messages")]
    [InlineData("{" + Messages + """, "temperature":"warm"}""", 400, "invalid_type", "temperature: \"warm\"")]
    [InlineData("{" + Messages + """, "temperature":-1}""", 400, "invalid_value", "temperature is -1")]
    [InlineData("""{"messages":[""", 400, "invalid_json", "JSON")]
    public async Task Post_WrongRequest_TellsTheCulprit(string body, int status, string? code, string culprit)
    {
        using var response = await PostAsync(new StringContent(body, Encoding.UTF8, "application/json"));

        await AssertErrorAsync(response, status, code, culprit);
    }

    [Fact]
    public async Task Post_BodyOf50Megabytes_IsTooLarge()
    {
        using var response = await PostAsync(new ByteArrayContent(new byte[50 << 20]) { Headers = { ContentType = new("application/json") } });

        await AssertErrorAsync(response, 413, "request_too_large", "allowed: up to 33554432 bytes");
    }

    private Task<HttpResponseMessage> PostAsync(HttpContent body) =>
        Until.DoneAsync(shared.Cluster.Client.PostAsync("/v1/chat/completions", body), "an answer", context: shared.Cluster.Logs);

    private static async Task AssertErrorAsync(HttpResponseMessage response, int status, string? code, string culprit)
    {
        var body = await response.Content.ReadAsStringAsync();
        var error = JsonNode.Parse(body)!["error"]!;
        Assert.Equal((HttpStatusCode)status, response.StatusCode);
        Assert.Equal("invalid_request_error", error["type"]!.GetValue<string>());
        Assert.Contains(culprit, error["message"]!.GetValue<string>(), StringComparison.Ordinal);
        if (code is not null)
            Assert.Equal(code, error["code"]!.GetValue<string>());
    }
}
