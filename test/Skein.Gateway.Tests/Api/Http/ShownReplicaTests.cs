using System.Net;
using Skein.Gateway.Tests.Api.OpenAi;
using Skein.Protocol.V1;

namespace Skein.Gateway.Tests.Api.Http;

/// <summary>Comments that name the replica which generates from there on.</summary>
public sealed class ShownReplicaTests
{
    [Fact]
    public async Task Post_AskedFor_EachChangeOfReplicaIsACommentOfTheNextEvent()
    {
        await using var gateway = await StartAsync();

        var blocks = (await PostAsync(gateway, "1")).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);

        var named = blocks.Where(block => block.Contains("skein replica=", StringComparison.Ordinal)).ToList();
        Assert.Equal(2, named.Count);
        Assert.StartsWith(": skein replica=r1\ndata: {", named[0], StringComparison.Ordinal);
        Assert.StartsWith(": skein replica=r2\ndata: {", named[1], StringComparison.Ordinal);
        Assert.Contains("\"content\":\"c\"", named[1], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("0")]
    public async Task Post_NotAskedFor_NamesNone(string? header)
    {
        await using var gateway = await StartAsync();

        Assert.DoesNotContain("skein replica=", await PostAsync(gateway, header), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_WrongValue_IsRefusedByName()
    {
        await using var gateway = await StartAsync();
        using var request = Request("yes");

        using var response = await gateway.Client.SendAsync(request);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("x-skein-show-replica", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    private static Task<TestGateway> StartAsync() => TestGateway.StartAsync(session =>
    {
        session.Push(From("r1", Frames.Start()), Frames.Token(0, "a"), Frames.Token(1, "b"), From("r2", Frames.Token(2, "c")), Frames.Finish(3));
        session.End();
    });

    private static GenerateFrame From(string replica, GenerateFrame frame)
    {
        frame.Replica = replica;
        return frame;
    }

    private static async Task<string> PostAsync(TestGateway gateway, string? header)
    {
        using var request = Request(header);
        using var response = await gateway.Client.SendAsync(request);
        return await response.Content.ReadAsStringAsync();
    }

    private static HttpRequestMessage Request(string? header)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, Requests.ChatPath) { Content = Requests.Json(Requests.StreamedChat) };
        if (header is not null)
            request.Headers.Add("x-skein-show-replica", header);
        return request;
    }
}
