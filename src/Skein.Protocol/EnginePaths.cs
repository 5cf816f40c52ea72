namespace Skein.Protocol;

/// <summary>
/// Which paths of engines may be called by clients: not those by which an engine is administered, whatever an operator configures. Thread-safe.
/// </summary>
public static class EnginePaths
{
    /// <summary>The rule of <see cref="IsAllowed"/>, for error messages.</summary>
    public const string Allowed = "a path such as /v1/embeddings, without escapes, that does not administer the engine";

    private const int MostChars = 256;

    /// <summary>Segments of paths by which the known engines are administered (vLLM, SGLang, llama.cpp, Ollama, TGI, Triton).</summary>
    private static readonly HashSet<string> Administration = new(StringComparer.OrdinalIgnoreCase)
    {
        "admin", "api-key", "blobs", "collective_rpc", "config", "continue_generation", "copy", "create", "debug", "freeze_gc", "generate_from_disk",
        "hicache", "is_sleeping", "load", "load_lora_adapter", "lora-adapters", "metrics", "pause", "props", "ps", "pull", "push", "repository",
        "resume", "save_remote_model", "save_sharded_model", "scale_elastic_ep", "server_info", "shutdown", "sleep", "slots", "slow_down", "wake_up",
    };

    /// <summary>Verbs with which the names of such paths begin.</summary>
    private static readonly string[] AdministrationVerbs =
    [
        "abort", "clear_", "close_", "configure_", "delete", "destroy_", "dump_", "flush_", "get_weights", "init_", "load_", "open_", "pause_", "release_",
        "reload", "reset_", "restart", "resume_", "send_weights", "set_", "start_", "stop_", "unload", "update_",
    ];

    /// <summary>Paths that are passed through by default: every call of the known engines and of OpenAI's API that takes a model and changes nothing.</summary>
    public static IReadOnlyList<string> Default { get; } =
    [
        "/v1/embeddings", "/v1/rerank", "/v2/rerank", "/rerank", "/v1/reranking", "/reranking", "/v1/score", "/score", "/pooling", "/classify", "/v1/classify",
        "/v1/moderations", "/tokenize", "/detokenize", "/v1/tokenize", "/v1/detokenize", "/apply-template", "/infill", "/embedding",
        "/v1/audio/transcriptions", "/v1/audio/translations", "/v1/audio/speech", "/v1/images/generations", "/v1/images/edits", "/v1/images/variations",
    ];

    /// <summary>Whether a path may be passed on.</summary>
    public static bool IsAllowed(string path) =>
        path.Length is > 1 and <= MostChars && path[0] == '/' && path.All(static c => char.IsAsciiLetterOrDigit(c) || c is '/' or '-' or '_' or '.' or '~')
        && path[1..].Split('/').All(static segment => segment.Length > 0 && segment[0] != '.' && !IsAdministration(segment));

    private static bool IsAdministration(string segment) =>
        Administration.Contains(segment) || Array.Exists(AdministrationVerbs, verb => segment.StartsWith(verb, StringComparison.OrdinalIgnoreCase));
}
