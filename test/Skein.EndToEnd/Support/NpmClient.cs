using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json;

namespace Skein.EndToEnd.Support;

/// <summary>The <c>openai</c> client of npm. Tests are skipped if node, npm or the package is not available.</summary>
internal static class NpmClient
{
    private const string Package = "openai@7.57.0";
    private static readonly TimeSpan InstallTimeout = TimeSpan.FromSeconds(60);

    /// <summary>Installs it once into a folder for temporary files.</summary>
    /// <param name="name">One of the scripts in <c>Clients/</c>.</param>
    /// <returns>The script that asks.</returns>
    public static async Task<string> InstallAsync(string name = "openai-client.mjs")
    {
        var folder = Path.Combine(Path.GetTempPath(), $"skein-{Package.Replace('@', '-')}");
        try
        {
            if (!Directory.Exists(Path.Combine(folder, "node_modules", "openai")))
                await RunAsync("npm", ["install", "--no-audit", "--no-fund", "--prefix", folder, Package], InstallTimeout);
        }
        catch (Exception error) when (error is Win32Exception or InvalidOperationException or TimeoutException)
        {
            Assert.Skip($"needs node and npm with the package {Package}: {error.Message}");
        }
        var script = Path.Combine(folder, name);
        File.Copy(Path.Combine(AppContext.BaseDirectory, "Clients", name), script, overwrite: true);
        return script;
    }

    /// <summary>Runs to its end.</summary>
    /// <returns>Its standard output.</returns>
    /// <exception cref="InvalidOperationException">It ended with an exit code other than 0.</exception>
    public static async Task<string> RunAsync(string program, IEnumerable<string> arguments, TimeSpan? within = null)
    {
        using var process = new Process
        {
            StartInfo = new ProcessStartInfo(program, arguments) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true },
        };
        process.Start();
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        try
        {
            await Until.DoneAsync(Task.WhenAll(output, errors), $"the end of {program}", within);
        }
        catch (TimeoutException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
        await process.WaitForExitAsync();
        return process.ExitCode == 0 ? await output : throw new InvalidOperationException($"{program} exited with code {process.ExitCode}: {await errors}");
    }

    /// <summary>What the script prints.</summary>
    internal sealed record Answers(string Whole, string WholeReason, string Streamed, string StreamedReason)
    {
        public static Answers Parse(string json) => JsonSerializer.Deserialize<Answers>(json, JsonSerializerOptions.Web)!;
    }
}
