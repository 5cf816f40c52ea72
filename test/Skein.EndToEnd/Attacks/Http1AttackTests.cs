using System.IO.Compression;
using System.Text;
using Skein.EndToEnd.Support;

namespace Skein.EndToEnd.Attacks;

/// <summary>Attacks on the HTTP port.</summary>
[Collection(AttackedGateway.Name)]
public sealed class Http1AttackTests(AttackedGateway gateway)
{
    private const string Body = """{"model":"simulated","prompt":"x","max_tokens":1}""";

    [Fact]
    public Task SlowHeaders_OfThreeHundredConnections_DisturbNobody() => gateway.WithstandsAsync(async () =>
    {
        using var open = new ManyClients();
        for (var i = 0; i < 300; i++)
        {
            Assert.True(await open.TryAddAsync(gateway.Http));
            await open.All[i].GetStream().WriteAsync("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nX-A"u8.ToArray());
        }
        for (var round = 0; round < 5; round++)
        {
            foreach (var client in open.All)
                await client.GetStream().WriteAsync("a"u8.ToArray());
        }
    });

    /// <summary>After 5 s without enough bytes the gateway answers 408: <c>RequestBody.SlowestRate</c>.</summary>
    [Fact]
    public Task SlowBodies_OfAHundredConnections_AreRefusedInTime() => gateway.WithstandsAsync(async () =>
    {
        var answers = await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => gateway.SendAsync(Post("Content-Length: 1000000", "{"), TimeSpan.FromSeconds(12))));
        Assert.All(answers, answer => Assert.StartsWith("HTTP/1.1 408 ", answer, StringComparison.Ordinal));
    });

    [Theory]
    [InlineData(1, 2_000_000)]
    [InlineData(20_000, 20)]
    [InlineData(1000, 4)]
    public Task Headers_GiantOrMany_AreRefused(int count, int length) => gateway.WithstandsAsync(async () =>
    {
        var headers = string.Join("\r\n", Enumerable.Range(0, count).Select(i => $"X-{i}: {new string('a', length)}"));
        for (var i = 0; i < 10; i++)
        {
            var answer = await gateway.SendAsync(Post($"{headers}\r\nContent-Length: {Body.Length}", Body));
            // The connection may be reset before the answer is read, because bytes were left unread.
            Assert.True(answer.Length == 0 || answer.StartsWith("HTTP/1.1 431 ", StringComparison.Ordinal), answer);
        }
    });

    [Fact]
    public Task TinyChunks_ThirtyThousand_AreServed() => gateway.WithstandsAsync(async () =>
    {
        // White space between the members, a byte in each chunk.
        var chunks = new StringBuilder();
        foreach (var character in Body[..^1] + new string(' ', 30_000) + "}")
            chunks.Append("1\r\n").Append(character).Append("\r\n");
        var answer = await gateway.SendAsync(Post("Transfer-Encoding: chunked\r\nConnection: close", $"{chunks}0\r\n\r\n"), TimeSpan.FromSeconds(10));
        Assert.StartsWith("HTTP/1.1 200 ", answer, StringComparison.Ordinal);
    });

    [Theory]
    [InlineData("FFFFFFFFFFFFFFFF\r\nabc\r\n")]
    [InlineData("7FFFFFFFFFFFFFFF\r\nabc\r\n")]
    [InlineData("80000000\r\nabc\r\n")]
    [InlineData("-1\r\nabc\r\n")]
    [InlineData("0x10\r\nabc\r\n")]
    [InlineData("1;a=\"\r\n\r\n0\r\n\r\n")]
    public Task Chunk_OfAnImpossibleSize_IsRefused(string chunk) => gateway.WithstandsAsync(async () =>
    {
        var answer = await gateway.SendAsync(Post("Transfer-Encoding: chunked", chunk));
        Assert.DoesNotContain("HTTP/1.1 200 ", answer, StringComparison.Ordinal);
        Assert.True(answer.Length == 0 || answer.StartsWith("HTTP/1.1 4", StringComparison.Ordinal), answer);
    });

    /// <summary>Two lengths: a proxy in front may believe the other one, and take the rest for the next client's request.</summary>
    [Theory]
    [InlineData("Content-Length: 4\r\nTransfer-Encoding: chunked")]
    [InlineData("Transfer-Encoding: chunked\r\nContent-Length: 4")]
    [InlineData("Content-Length: 4\r\nContent-Length: 100")]
    [InlineData("Transfer-Encoding: identity, chunked")]
    [InlineData("Transfer-Encoding: chunked, identity")]
    [InlineData("Transfer-Encoding: xchunked")]
    [InlineData("Transfer-Encoding : chunked")]
    [InlineData(" Transfer-Encoding: chunked")]
    [InlineData("X: a\r\n Transfer-Encoding: chunked")]
    [InlineData("X: a\nTransfer-Encoding: chunked")]
    [InlineData("Content-Length: +4")]
    [InlineData("Content-Length: 4, 4")]
    [InlineData("Content-Length: 0x4")]
    public Task Smuggling_RequestWithTwoLengths_IsRefusedAndItsConnectionClosed(string headers) => gateway.WithstandsAsync(async () =>
    {
        var answer = await gateway.SendAsync(Post(headers, $"{Body.Length:x}\r\n{Body}\r\n0\r\n\r\nGET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        Assert.DoesNotContain("alive", answer, StringComparison.Ordinal);
        Assert.DoesNotContain("HTTP/1.1 200 ", answer, StringComparison.Ordinal);
    });

    [Theory]
    [InlineData("gzip")]
    [InlineData("br")]
    public Task CompressionBomb_IsRefusedAndTakesNoMemory(string encoding) => gateway.WithstandsAsync(async () =>
    {
        using var bomb = new MemoryStream();
        await using (Stream packed = encoding == "gzip" ? new GZipStream(bomb, CompressionLevel.Fastest, leaveOpen: true) : new BrotliStream(bomb, CompressionLevel.Fastest, leaveOpen: true))
        {
            var zeros = new byte[1 << 20];
            for (var i = 0; i < 256; i++)
                await packed.WriteAsync(zeros);
        }
        var head = Encoding.ASCII.GetBytes(Head($"Content-Encoding: {encoding}\r\nContent-Length: {bomb.Length}\r\nConnection: close"));
        var answers = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => gateway.SendAsync((byte[])[.. head, .. bomb.ToArray()], TimeSpan.FromSeconds(10))));
        Assert.All(answers, answer => Assert.StartsWith("HTTP/1.1 413 ", answer, StringComparison.Ordinal));
    });

    [Fact]
    public Task KeyGuessing_TwoThousandWrongKeys_AreRefusedAlike() => gateway.WithstandsAsync(async () =>
    {
        using var http = new HttpClient { BaseAddress = gateway.Cluster.Client.BaseAddress };
        var answers = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < 2000; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = new StringContent(Body, Encoding.UTF8, "application/json") };
            // A prefix of the right one must not look better than any other.
            request.Headers.TryAddWithoutValidation("authorization", i % 2 == 0 ? $"Bearer {gateway.Secret[..^1]}-{i}" : $"Bearer {i}");
            using var response = await http.SendAsync(request);
            answers.Add($"{(int)response.StatusCode} {await response.Content.ReadAsStringAsync()}");
        }
        Assert.Single(answers);
        Assert.StartsWith("401 ", answers.Single(), StringComparison.Ordinal);
    });

    /// <summary>New clients are refused, the honest one too: who has a connection is served.</summary>
    [Fact]
    public async Task Connections_MoreThanMayBeOpen_AreClosedAndThoseThatWereOpenAreServed()
    {
        using var mine = await gateway.ConnectAsync();
        using var open = new ManyClients();
        var refused = 0;
        for (var i = 0; i < AttackedGateway.MostConnections + 100; i++)
            refused += await open.TryAddAsync(gateway.Http) ? 0 : 1;

        Assert.Equal("", await gateway.SendAsync("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"u8.ToArray()));
        var answer = await AttackedGateway.SendAsync(mine, "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"u8.ToArray());

        Assert.Contains("alive", answer, StringComparison.Ordinal);
        open.Dispose();
        await gateway.IsServedAgainAsync();
        // The exporter keeps its last answer for a moment.
        await Until.FoundAsync(
            async () => Metric.Sum(await gateway.Cluster.Client.GetStringAsync("/metrics"), "skein_connections_refused") >= Math.Max(1, refused) ? "counted" : null,
            "the refused connections are counted");
    }

    private ReadOnlyMemory<byte> Post(string headers, string body) => Encoding.ASCII.GetBytes(Head(headers) + body);

    private string Head(string headers) =>
        $"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {gateway.Secret}\r\nContent-Type: application/json\r\n{headers}\r\n\r\n";
}
