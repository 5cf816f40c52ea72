using System.ComponentModel;
using System.Diagnostics;
using Skein.EndToEnd.Support;

namespace Skein.Conformance.Clients;

/// <summary>
/// A client from npm at one version, installed once into a folder for temporary files. Tests are skipped, with the reason, if node, npm or the package is not
/// available. npm under an old node silently installs old versions of some clients, so the version is checked.
/// </summary>
/// <param name="name">Name of the package.</param>
/// <param name="version">Exact version.</param>
/// <param name="others">Further packages that its script needs, each with its version.</param>
internal sealed class NpmPackage(string name, string version, params IReadOnlyList<string> others) : IClient
{
    private static readonly TimeSpan InstallTimeout = TimeSpan.FromMinutes(5);
    private static readonly SemaphoreSlim Installing = new(1, 1);

    /// <summary>Folders that have the scripts of this run. Guarded by <see cref="Installing"/>.</summary>
    private static readonly HashSet<string> Prepared = new(StringComparer.Ordinal);

    public string Name => name;

    public string Version => version;

    private string Folder { get; } = Path.Combine(Path.GetTempPath(), $"skein-npm-{name.Replace('/', '-').TrimStart('@')}-{version}");

    /// <summary>Installs it, and copies the scripts of the tests beside it.</summary>
    public async Task InstallAsync()
    {
        await Installing.WaitAsync(TestContext.Current.CancellationToken);
        try
        {
            if (!File.Exists(Path.Combine(Folder, "installed")))
            {
                await ProgramRun.ToEndAsync("npm", ["install", "--no-audit", "--no-fund", "--prefix", Folder, $"{name}@{version}", .. others], within: InstallTimeout);
                await File.WriteAllTextAsync(Path.Combine(Folder, "installed"), version);
            }

            // Once: another test may run one of them.
            if (Prepared.Add(Folder))
            {
                foreach (var script in Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "Clients"), "*.mjs"))
                    File.Copy(script, Path.Combine(Folder, Path.GetFileName(script)), overwrite: true);
            }
        }
        catch (Exception error) when (error is Win32Exception or InvalidOperationException or TimeoutException)
        {
            Assert.Skip($"needs node and npm with the package {name}@{version}: {error.Message}");
        }
        finally
        {
            Installing.Release();
        }
    }

    /// <summary>Runs a script of the tests to its end.</summary>
    /// <returns>What it printed.</returns>
    public async Task<string> RunScriptAsync(string script, params IEnumerable<string> arguments)
    {
        await InstallAsync();
        return await ProgramRun.ToEndAsync("node", [Path.Combine(Folder, script), .. arguments], within: TimeSpan.FromMinutes(1));
    }

    /// <summary>Runs a program of the package to its end.</summary>
    public async Task<string> RunProgramAsync(
        string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string> environment, string workingDirectory)
    {
        await InstallAsync();
        return await ProgramRun.ToEndAsync(
            Path.Combine(Folder, "node_modules", ".bin", program), arguments, environment, workingDirectory, within: TimeSpan.FromMinutes(2));
    }
}

/// <summary>One run of a program.</summary>
internal static class ProgramRun
{
    /// <returns>Its standard output.</returns>
    /// <exception cref="InvalidOperationException">It ended with an exit code other than 0.</exception>
    /// <exception cref="TimeoutException">It did not end in time, and was ended.</exception>
    public static async Task<string> ToEndAsync(
        string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null, string? workingDirectory = null,
        TimeSpan? within = null)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
            WorkingDirectory = workingDirectory ?? Path.GetTempPath(),
        };
        start.Environment["PWD"] = start.WorkingDirectory; // some programs believe it more than the directory itself
        foreach (var (variable, value) in environment ?? new Dictionary<string, string>())
            start.Environment[variable] = value;
        using var process = new Process { StartInfo = start };
        process.Start();
        process.StandardInput.Close();
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
        return process.ExitCode == 0
            ? await output
            : throw new InvalidOperationException($"{program} exited with code {process.ExitCode}: {await errors}\n{await output}");
    }
}
