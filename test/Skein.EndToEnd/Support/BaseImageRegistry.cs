using System.IO.Compression;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Skein.EndToEnd.Support;

/// <summary>A container registry on loopback (OCI distribution, reading only) with one base image: an empty layer for linux/amd64.</summary>
internal sealed class BaseImageRegistry : IAsyncDisposable
{
    private const string ManifestType = "application/vnd.docker.distribution.manifest.v2+json";

    private readonly WebApplication _app;

    private BaseImageRegistry(WebApplication app) => _app = app;

    /// <summary>Host and port.</summary>
    public string Name => new Uri(_app.Urls.First()).Authority;

    public string Image => $"{Name}/base:1";

    public static async Task<BaseImageRegistry> StartAsync()
    {
        var tar = new byte[1024];
        var layer = Compressed(tar);
        var config = JsonSerializer.SerializeToUtf8Bytes(new
        {
            architecture = "amd64", os = "linux", config = new { User = "1654" }, history = Array.Empty<object>(),
            rootfs = new { type = "layers", diff_ids = new[] { DigestOf(tar) } },
        });
        var manifest = JsonSerializer.SerializeToUtf8Bytes(new
        {
            schemaVersion = 2, mediaType = ManifestType,
            config = new { mediaType = "application/vnd.docker.container.image.v1+json", size = config.Length, digest = DigestOf(config) },
            layers = new[] { new { mediaType = "application/vnd.docker.image.rootfs.diff.tar.gzip", size = layer.Length, digest = DigestOf(layer) } },
        });

        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddRouting();
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        app.UseRouting();
        app.MapGet("/v2/", () => Results.Ok());
        app.MapMethods("/v2/base/manifests/{reference}", ["GET", "HEAD"], (HttpContext http) =>
        {
            http.Response.Headers["docker-content-digest"] = DigestOf(manifest);
            return Results.Bytes(manifest, ManifestType);
        });
        app.MapMethods("/v2/base/blobs/{digest}", ["GET", "HEAD"], (string digest) =>
            digest == DigestOf(config) ? Results.Bytes(config) : digest == DigestOf(layer) ? Results.Bytes(layer) : Results.NotFound());
        await app.StartAsync();
        return new BaseImageRegistry(app);
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private static string DigestOf(byte[] content) => $"sha256:{Convert.ToHexStringLower(SHA256.HashData(content))}";

    private static byte[] Compressed(byte[] content)
    {
        using var compressed = new MemoryStream();
        using (var gzip = new GZipStream(compressed, CompressionLevel.Fastest))
            gzip.Write(content);
        return compressed.ToArray();
    }
}
