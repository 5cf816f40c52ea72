using System.Globalization;
using System.IO.Pipelines;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http.Features;
using Skein.Gateway.Security;
using Skein.Gateway.Tests.Api;

namespace Skein.Gateway.Tests.Security;

/// <summary>Requests that Kestrel itself refuses, before any code of the gateway runs: it answered them without a body.</summary>
public sealed class RefusalBodiesTests : WholeGateway
{
    private const string Head = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\nDate: x\r\n\r\n";

    [Theory]
    [InlineData("NONSENSE\r\n\r\n", 400, "bad_request")]
    [InlineData("GET /v1/models HTTP/1.1\r\n\r\n", 400, "bad_request")]
    [InlineData("GET /v1/models HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400, "bad_request")]
    [InlineData("GET /v1/models HTTP/1.1\nHost: x\n\n", 400, "bad_request")]
    [InlineData("GET /v1/models HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400, "bad_request")]
    [InlineData("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400, "bad_request")]
    [InlineData("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n", 400, null)]
    [InlineData("GET /v1/models HTTP/3.7\r\nHost: x\r\n\r\n", 505, "http_version_not_supported")]
    [InlineData("GET * HTTP/1.1\r\nHost: x\r\n\r\n", 405, "method_not_allowed")]
    [InlineData("GET /{41000} HTTP/1.1\r\nHost: x\r\n\r\n", 414, "uri_too_long")]
    [InlineData("GET / HTTP/1.1\r\nHost: x\r\nx: {66000}\r\n\r\n", 431, "request_headers_too_large")]
    public async Task Send_WhatTheServerRefuses_IsToldInJson(string request, int status, string? code)
    {
        foreach (var before in (string[])["", "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"])
        {
            using var http = await RawHttp.SendAsync(Client.BaseAddress!, before);
            if (before.Length > 0)
                await http.ReadUntilAsync("\r\n\r\n");
            await http.SendAsync(Filled(request));

            // Not to the end: after an answer to what it did not read, the server may reset the connection.
            var answers = await http.ReadUntilAsync("}}");

            var answer = answers[answers.IndexOf(string.Create(CultureInfo.InvariantCulture, $"HTTP/1.1 {status} "), StringComparison.Ordinal)..];
            using var body = JsonDocument.Parse(answer[(answer.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..]);
            var error = body.RootElement.GetProperty("error");
            Assert.NotEqual("", error.GetProperty("message").GetString());
            if (code is not null)
                Assert.Equal(code, error.GetProperty("code").GetString());
        }
    }

    /// <summary>The body of an answer is never changed, whatever it says.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Write_BodyThatLooksLikeARefusal_IsSentAsItIs(bool isRefused)
    {
        var features = new FeatureCollection();
        features.Set<IBadRequestExceptionFeature>(new Refused(isRefused ? new InvalidOperationException() : null));
        var pipe = new Pipe();
        var output = new HeadWriter(pipe.Writer) { Request = features };

        Encoding.ASCII.GetBytes(Head, output);
        await output.CompleteAsync();

        var sent = Encoding.ASCII.GetString((await pipe.Reader.ReadAsync(TestContext.Current.CancellationToken)).Buffer);
        Assert.Equal(isRefused, sent != Head);
    }

    private static string Filled(string request)
    {
        var start = request.IndexOf('{', StringComparison.Ordinal);
        var end = request.IndexOf('}', StringComparison.Ordinal);
        return start < 0 || !int.TryParse(request[(start + 1)..end], NumberStyles.None, CultureInfo.InvariantCulture, out var length) ? request
            : request[..start] + new string('a', length) + request[(end + 1)..];
    }

    private sealed record Refused(Exception? Error) : IBadRequestExceptionFeature;
}
