using System.Diagnostics;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>The program of a real llama.cpp server, for all tests that can use one.</summary>
internal static class LlamaProgram
{
    public const string Missing = "no llama.cpp server: set SKEIN_LLAMA_SERVER to its program";
    public const string MissingModel = "no such model: set SKEIN_LLAMA_MODELS to the folder that has it";

    /// <summary>Null if there is none.</summary>
    public static string? Find() => Environment.GetEnvironmentVariable("SKEIN_LLAMA_SERVER") is { Length: > 0 } program ? program : null;

    /// <summary>A file of the folder with further models; null if there is none.</summary>
    public static string? FindModel(string path) =>
        Environment.GetEnvironmentVariable("SKEIN_LLAMA_MODELS") is { Length: > 0 } folder && Path.Combine(folder, path) is var file && File.Exists(file)
            ? file
            : null;

    /// <summary>Starts it on one thread, computing the same bits for prompt and answer. It names the model <c>tiny</c>.</summary>
    public static Process Start(string program, string modelFile, int port, int slots, params string[] arguments) => Process.Start(new ProcessStartInfo(program,
    [
        "-m", modelFile, "--host", "127.0.0.1", "--port", $"{port}", "--alias", "tiny", "-t", "1", "-c", "4096", "-np", $"{slots}",
        "--metrics", "-ctk", "f32", "-ctv", "f32", "-fa", "off", "--log-disable", .. arguments,
    ]))!;
}
