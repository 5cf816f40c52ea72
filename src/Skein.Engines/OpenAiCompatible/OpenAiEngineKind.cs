namespace Skein.Engines.OpenAiCompatible;

/// <summary>Whose server it is. Decides which of its calls are used and how well an answer can be resumed.</summary>
public enum OpenAiEngineKind
{
    /// <summary>To be found out from what the server answers.</summary>
    Auto,

    /// <summary>llama.cpp's <c>llama-server</c>: resumes by token ids.</summary>
    LlamaCpp,

    /// <summary>vLLM, 0.10.2 or newer (<c>return_token_ids</c>): resumes by token ids.</summary>
    Vllm,

    /// <summary>SGLang: resumes by token ids, chats by text.</summary>
    SgLang,

    /// <summary>Ollama: resumes by text.</summary>
    Ollama,

    /// <summary>Any other server with OpenAI's <c>/v1/chat/completions</c> and <c>/v1/completions</c>: resumes by text.</summary>
    Generic,
}

/// <summary>The words for kinds of servers. Thread-safe.</summary>
public static class OpenAiEngineKindWords
{
    /// <summary>As in configuration, metrics and messages.</summary>
    public static string ToWireName(this OpenAiEngineKind kind) => kind switch
    {
        OpenAiEngineKind.LlamaCpp => "llama.cpp",
        OpenAiEngineKind.Vllm => "vllm",
        OpenAiEngineKind.SgLang => "sglang",
        OpenAiEngineKind.Ollama => "ollama",
        OpenAiEngineKind.Generic => "openai",
        _ => "auto",
    };
}
