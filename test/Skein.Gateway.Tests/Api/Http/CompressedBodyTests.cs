using System.IO.Compression;
using System.Net;
using System.Text;
using System.Text.Json;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Tests.Api.OpenAi;
using ZstdSharp;

namespace Skein.Gateway.Tests.Api.Http;

/// <summary>Bodies that agents and browsers compress, and bodies that are made to fill the memory.</summary>
public sealed class CompressedBodyTests
{
    private const int MaxBodyBytes = 1 << 20;

    [Theory]
    [InlineData("gzip")]
    [InlineData("x-gzip")]
    [InlineData("deflate")]
    [InlineData("raw deflate")]
    [InlineData("br")]
    [InlineData("zstd")]
    [InlineData("ZSTD")]
    [InlineData("identity")]
    public async Task Post_CompressedBody_IsRead(string encoding)
    {
        await using var gateway = await StartAsync();

        using var response = await PostAsync(gateway, encoding.Replace("raw ", "", StringComparison.Ordinal), Compress(encoding, Encoding.UTF8.GetBytes(Requests.WholeChat)));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("tiny", (await gateway.Sessions.StartedAsync()).Request.Model);
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("deflate")]
    [InlineData("br")]
    [InlineData("zstd")]
    public async Task Post_BodyThatGrowsPastTheBound_IsRefused(string encoding)
    {
        await using var gateway = await StartAsync();
        var bomb = Compress(encoding, new byte[64 << 20]);
        Assert.True(bomb.Length < MaxBodyBytes);

        using var response = await PostAsync(gateway, encoding, bomb);

        Assert.Equal((HttpStatusCode.RequestEntityTooLarge, "request_too_large"), (response.StatusCode, await CodeAsync(response)));
        Assert.False(gateway.Sessions.HasStarted);
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("deflate")]
    [InlineData("br")]
    [InlineData("zstd")]
    public async Task Post_BodyThatIsNotWhatItSays_IsRefused(string encoding)
    {
        await using var gateway = await StartAsync();

        using var plain = await PostAsync(gateway, encoding, Encoding.UTF8.GetBytes(Requests.WholeChat));
        Assert.Equal((HttpStatusCode.BadRequest, "invalid_content_encoding"), (plain.StatusCode, await CodeAsync(plain)));

        var cut = Compress(encoding, Encoding.UTF8.GetBytes(Requests.WholeChat));
        using var half = await PostAsync(gateway, encoding, cut[..(cut.Length / 2)]);
        Assert.Equal(HttpStatusCode.BadRequest, half.StatusCode);
        Assert.False(gateway.Sessions.HasStarted);
    }

    /// <summary>What was cut may still be valid JSON, for example if only the checksum is missing.</summary>
    [Theory]
    [InlineData("gzip")]
    [InlineData("deflate")]
    [InlineData("raw deflate")]
    [InlineData("br")]
    [InlineData("zstd")]
    public async Task Post_BodyThatIsCutAnywhere_IsRefused(string encoding)
    {
        await using var gateway = await StartAsync();
        var whole = Compress(encoding, Encoding.UTF8.GetBytes(Requests.WholeChat));

        for (var length = 1; length < whole.Length; length++)
        {
            using var response = await PostAsync(gateway, encoding.Replace("raw ", "", StringComparison.Ordinal), whole[..length]);
            Assert.Equal((length, HttpStatusCode.BadRequest, "invalid_content_encoding"), (length, response.StatusCode, await CodeAsync(response)));
        }

        Assert.False(gateway.Sessions.HasStarted);
    }

    /// <summary>A zstd frame may ask its reader for a window of gigabytes.</summary>
    [Fact]
    public async Task Post_ZstdThatAsksForAHugeWindow_IsRefused()
    {
        await using var gateway = await StartAsync();
        // Magic number; no content size, no checksum; a window of 2 GiB; one empty last block.
        byte[] frame = [0x28, 0xB5, 0x2F, 0xFD, 0x00, 0xA8, 0x01, 0x00, 0x00];

        using var response = await PostAsync(gateway, "zstd", frame);

        Assert.Equal((HttpStatusCode.BadRequest, "invalid_content_encoding"), (response.StatusCode, await CodeAsync(response)));
    }

    [Theory]
    [InlineData("compress")]
    [InlineData("gzip, br")]
    public async Task Post_UnknownCompression_SaysWhatIsRead(string encoding)
    {
        await using var gateway = await StartAsync();

        using var response = await PostAsync(gateway, encoding, [1, 2, 3]);

        Assert.Equal((HttpStatusCode.UnsupportedMediaType, "unsupported_content_encoding"), (response.StatusCode, await CodeAsync(response)));
        Assert.Equal(RequestBody.Encodings, string.Join(", ", response.Headers.GetValues("Accept-Encoding")));
    }

    /// <summary>A client that asks first gets its 100 only when the body is read.</summary>
    [Fact]
    public async Task Post_ExpectContinue_IsAnsweredBeforeTheBody()
    {
        await using var gateway = await StartAsync();
        using var http = await RawHttp.SendAsync(
            gateway.Http1,
            $"POST {Requests.ChatPath} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {Requests.WholeChat.Length}\r\n\r\n");

        Assert.StartsWith("HTTP/1.1 100 Continue\r\n\r\n", await http.ReadUntilAsync("\r\n\r\n"), StringComparison.Ordinal);
        await http.SendAsync(Requests.WholeChat);

        Assert.StartsWith("HTTP/1.1 200 OK", await http.ReadUntilAsync("finish_reason"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_ExpectContinueForABodyThatIsTooLarge_IsRefusedWithoutIt()
    {
        await using var gateway = await StartAsync();
        using var http = await RawHttp.SendAsync(
            gateway.Http1,
            $"POST {Requests.ChatPath} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {MaxBodyBytes + 1}\r\n\r\n");

        Assert.StartsWith("HTTP/1.1 413 ", await http.ReadUntilAsync("request_too_large"), StringComparison.Ordinal);
    }

    private static Task<TestGateway> StartAsync() => TestGateway.StartAsync(
        session =>
        {
            session.Push(Frames.Answer("a"));
            session.End();
        },
        new ApiOptions { MaxBodyBytes = MaxBodyBytes, MaxBodyMemoryBytes = MaxBodyBytes });

    private static async Task<HttpResponseMessage> PostAsync(TestGateway gateway, string encoding, byte[] body)
    {
        using var content = new ByteArrayContent(body);
        content.Headers.TryAddWithoutValidation("Content-Type", "application/json");
        content.Headers.TryAddWithoutValidation("Content-Encoding", encoding);
        return await gateway.Client.PostAsync(Requests.ChatPath, content);
    }

    private static async Task<string?> CodeAsync(HttpResponseMessage response) =>
        JsonElement.Parse(await response.Content.ReadAsStringAsync()).GetProperty("error").GetProperty("code").GetString();

    private static byte[] Compress(string encoding, byte[] body)
    {
        var bytes = new MemoryStream();
        using (Stream stream = encoding.ToUpperInvariant() switch
        {
            "BR" => new BrotliStream(bytes, CompressionLevel.Fastest, leaveOpen: true),
            "RAW DEFLATE" => new DeflateStream(bytes, CompressionLevel.Fastest, leaveOpen: true),
            "DEFLATE" => new ZLibStream(bytes, CompressionLevel.Fastest, leaveOpen: true),
            "ZSTD" => new CompressionStream(bytes, level: 1, leaveOpen: true),
            "IDENTITY" => bytes,
            _ => new GZipStream(bytes, CompressionLevel.Fastest, leaveOpen: true),
        })
        {
            stream.Write(body);
        }

        return bytes.ToArray();
    }
}
