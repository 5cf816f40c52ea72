namespace Skein.Engines.Embedded;

/// <summary>What the embedded engine serves, and how fast.</summary>
public sealed record EmbeddedEngineOptions
{
    /// <summary>
    /// GGUF file, version 2 or 3, of a Llama model with F32 or F16 weights and a byte-level BPE tokenizer; at most 1 GiB. Default: the model that
    /// comes with Skein: <c>models/tiny-storyteller/model.gguf</c> beside the program, or in the program if it is a single file.
    /// </summary>
    public string ModelFile { get; init; } = DefaultModelFile;

    /// <summary>
    /// Name under which the model is served, 1 to 256 bytes. Default (null): <c>general.name</c> of the file, or else the file's own name.
    /// </summary>
    public string? ModelName { get; init; }

    /// <summary>
    /// Most tokens per second and stream, 0 to 1,000,000. Default: 40, about the pace of a reader. 0: no limit. The pace does not apply to
    /// reading the prompt.
    /// </summary>
    public double TokensPerSecond { get; init; } = 40;

    internal static string DefaultModelFile { get; } = Path.Combine(AppContext.BaseDirectory, "models", "tiny-storyteller", "model.gguf");
}
