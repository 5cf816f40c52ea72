using System.Diagnostics;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>The program of a real llama.cpp server, for all tests that can use one.</summary>
internal static class LlamaProgram
{
    public const string Missing = "no llama.cpp server: set SKEIN_LLAMA_SERVER to its program";

    /// <summary>Null where there is none.</summary>
    public static string? Find()
    {
        if (Environment.GetEnvironmentVariable("SKEIN_LLAMA_SERVER") is { Length: > 0 } named)
        {
            return named;
        }

        if (BesideTheRepository("tools/get-llama-server") is not { } script)
            return null;
        using var fetch = Process.Start(new ProcessStartInfo(script) { RedirectStandardOutput = true, UseShellExecute = false })!;
        var program = fetch.StandardOutput.ReadToEnd().Trim();
        fetch.WaitForExit();
        return fetch.ExitCode == 0 ? program : null;
    }

    /// <summary>A file of the folder <c>shared</c> beside the repository; null where there is none.</summary>
    public static string? BesideTheRepository(string path)
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Skein.slnx")))
            folder = folder.Parent;
        return folder is not null && Path.Combine(folder.FullName, "..", "shared", path) is var file && File.Exists(file) ? file : null;
    }

    /// <summary>Starts it on one thread, computing the same bits for prompt and answer. It names the model <c>tiny</c>.</summary>
    public static Process Start(string program, string modelFile, int port, int slots) => Process.Start(new ProcessStartInfo(program,
    [
        "-m", modelFile, "--host", "127.0.0.1", "--port", $"{port}", "--alias", "tiny", "-t", "1", "-c", "4096", "-np", $"{slots}",
        "--metrics", "-ctk", "f32", "-ctv", "f32", "-fa", "off", "--log-disable",
    ]))!;
}
