namespace Skein.Protocol;

/// <summary>
/// Which paths of engines may be called by clients: not those by which an engine is administered, whatever an operator configures. Thread-safe.
/// </summary>
public static class EnginePaths
{
    /// <summary>The rule of <see cref="IsAllowed"/>, for error messages.</summary>
    public const string Allowed = "a path such as /v1/embeddings, without escapes, that does not administer the engine";

    private const int MostChars = 256;

    /// <summary>
    /// Segments of paths by which the known engines are administered (vLLM, SGLang, llama.cpp, Ollama, TGI, Triton, TabbyAPI, LocalAI, LMDeploy, KoboldCpp),
    /// or by which one client could read, change or remove what another stored there. With <c>_</c> for <c>-</c>.
    /// </summary>
    private static readonly HashSet<string> Administration = new(StringComparer.OrdinalIgnoreCase)
    {
        "adapter", "adapters", "add", "admin", "api_key", "apply", "assistants", "backends", "batches", "blobs", "cancel", "collective_rpc", "config",
        "continue_generation", "copy", "create", "debug", "disable", "distserve", "enable", "evict", "exit", "files", "fine_tunes", "fine_tuning",
        "freeze_gc", "generate_from_disk", "hicache", "import", "is_sleeping", "keys", "kill", "load", "lora", "lora_adapters", "loras", "metrics", "nodes",
        "override", "pause", "permission", "profile", "profiler", "prometheus", "props", "ps", "pull", "push", "quit", "reboot", "remove", "remove_adapter",
        "remove_lora", "repository", "reset", "restore", "resume", "save", "save_remote_model", "save_sharded_model", "scale_elastic_ep", "server_info",
        "set", "shutdown", "sleep", "slots", "slow_down", "start", "stop", "switch", "template", "templates", "terminate", "threads", "update", "uploads",
        "vector_stores", "wake_up",
    };

    /// <summary>Verbs with which the names of such paths begin. With <c>_</c> for <c>-</c>.</summary>
    private static readonly string[] AdministrationVerbs =
    [
        "abort", "add_", "clear_", "close_", "configure_", "delete", "destroy_", "disable_", "download", "dump_", "enable_", "flush_", "get_weights", "init_",
        "install", "load_", "open_", "pause_", "profile_", "register", "release_", "reload", "reset_", "restart", "resume_", "send_weights", "set_",
        "shutdown_", "start_", "stop_", "switch_", "uninstall", "unload", "unregister", "update_", "upload_",
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
        segment.Replace('-', '_') is var name
        && (Administration.Contains(name) || Array.Exists(AdministrationVerbs, verb => name.StartsWith(verb, StringComparison.OrdinalIgnoreCase)));
}
