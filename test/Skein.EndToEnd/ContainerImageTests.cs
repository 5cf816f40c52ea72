using System.Diagnostics;
using System.Formats.Tar;
using System.IO.Compression;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Skein.EndToEnd.Support;

namespace Skein.EndToEnd;

/// <summary>The container image that the .NET SDK makes, from a base image on loopback. Publishing takes minutes: by hand, with <c>--explicit only</c>.</summary>
public sealed class ContainerImageTests
{
    private static readonly TimeSpan PublishTimeout = TimeSpan.FromMinutes(10);

    [Fact(Explicit = true)]
    public async Task PublishContainer_ToAnArchive_HasTheProgramAsItsCommandAndRuns()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs Linux: the image's program is run");
        await using var registry = await BaseImageRegistry.StartAsync();
        var folder = Directory.CreateTempSubdirectory("skein-image");
        try
        {
            var archive = Path.Combine(folder.FullName, "skein.tar");
            await PublishAsync(registry, archive);
            var files = Path.Combine(folder.FullName, "archive");
            await ExtractAsync(archive, files, isCompressed: false);

            var manifest = JsonElement.Parse(await File.ReadAllTextAsync(Path.Combine(files, "manifest.json")))[0];
            var config = JsonElement.Parse(await File.ReadAllTextAsync(Path.Combine(files, manifest.GetProperty("Config").GetString()!))).GetProperty("config");
            Assert.Equal("/app/skein", string.Join(' ', config.GetProperty("Entrypoint").EnumerateArray().Select(part => part.GetString())));
            Assert.Equal(
                ["7946/tcp", "7946/udp", "8080/tcp", "8081/tcp", "8090/tcp"],
                config.GetProperty("ExposedPorts").EnumerateObject().Select(port => port.Name).Order(StringComparer.Ordinal));

            var root = Path.Combine(folder.FullName, "root");
            foreach (var layer in manifest.GetProperty("Layers").EnumerateArray())
                await ExtractAsync(Path.Combine(files, layer.GetString()!), root, isCompressed: true);
            Assert.Contains("gateway", await RunAsync(Path.Combine(root, "app", "skein"), ["help"]), StringComparison.Ordinal);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static Task<string> PublishAsync(BaseImageRegistry registry, string archive, [CallerFilePath] string here = "") => RunAsync(
        "dotnet",
        [
            "publish", Path.GetFullPath(Path.Combine(here, "../../../src/Skein.Cli")), "-c", "Release", "-r", "linux-x64", "-t:PublishContainer",
            $"-p:ContainerArchiveOutputPath={archive}", $"-p:ContainerBaseImage={registry.Image}", "-p:PublishReadyToRun=false", "-p:RunAnalyzers=false", "-v", "q",
        ],
        new Dictionary<string, string> { ["DOTNET_CONTAINER_INSECURE_REGISTRIES"] = registry.Name, ["CI"] = "" });

    private static async Task ExtractAsync(string archive, string folder, bool isCompressed)
    {
        Directory.CreateDirectory(folder);
        await using var file = File.OpenRead(archive);
        await using var content = isCompressed ? new GZipStream(file, CompressionMode.Decompress) : (Stream)file;
        await TarFile.ExtractToDirectoryAsync(content, folder, overwriteFiles: true);
    }

    private static async Task<string> RunAsync(string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null)
    {
        var start = new ProcessStartInfo(program, arguments) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
            start.Environment[name] = value;
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync().WaitAsync(PublishTimeout, TimeProvider.System);
        Assert.True(process.ExitCode == 0, $"{program} ended with {process.ExitCode}:\n{await output}\n{await errors}");
        return await output;
    }
}
