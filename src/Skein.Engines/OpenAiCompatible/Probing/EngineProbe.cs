using System.Text.Json;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Protocol;

namespace Skein.Engines.OpenAiCompatible.Probing;

/// <summary>Finds out whose server it is and what it serves. Asks; changes nothing.</summary>
internal static class EngineProbe
{
    private const int MostModels = 1_000;

    /// <summary>One try; a server that is not up yet is <see cref="Fault.Unreachable"/>, <see cref="Fault.ConnectionLost"/>,
    /// <see cref="Fault.EngineTimedOut"/> or <see cref="Fault.EngineFailed"/>.</summary>
    public static async ValueTask<EngineFacts> AskAsync(EngineHttp http, OpenAiEngineKind kind, CancellationToken cancellationToken)
    {
        var props = kind is OpenAiEngineKind.Auto or OpenAiEngineKind.LlamaCpp ? await http.FindAsync("props", cancellationToken) : null;
        if (props is { } found && found.Whole("total_slots") is not null)
        {
            return await LlamaAsync(http, found, cancellationToken);
        }

        Require(kind != OpenAiEngineKind.LlamaCpp, http, kind, "/props has no total_slots");
        if (kind is OpenAiEngineKind.Auto or OpenAiEngineKind.Ollama && (await http.FindAsync("api/version", cancellationToken))?.Text("version") is { } ollama)
        {
            return await PlainAsync(http, OpenAiEngineKind.Ollama, ollama, cancellationToken);
        }

        Require(kind != OpenAiEngineKind.Ollama, http, kind, "/api/version tells no version");
        if (kind is OpenAiEngineKind.Auto or OpenAiEngineKind.SgLang && await FindEitherAsync(http, "model_info", "get_model_info", cancellationToken) is { } info
            && info.Text("model_path") is not null)
        {
            return await SgLangAsync(http, info, cancellationToken);
        }

        Require(kind != OpenAiEngineKind.SgLang, http, kind, "/model_info tells no model_path");
        return await VllmOrOtherAsync(http, kind, cancellationToken);
    }

    /// <summary>Names of the models it lists now.</summary>
    public static async ValueTask<IReadOnlyCollection<string>> ModelNamesAsync(EngineHttp http, CancellationToken cancellationToken) =>
        [.. (await ModelsAsync(http, cancellationToken)).Select(model => model.Text("id")!)];

    private static async ValueTask<EngineFacts> LlamaAsync(EngineHttp http, JsonElement props, CancellationToken cancellationToken)
    {
        var defaults = props.Member("default_generation_settings");
        var template = props.Text("chat_template") ?? "";
        // The path differs from machine to machine, the file's name does not have to. Of the settings, the seed alone is no default of a request.
        var identity = string.Join(
            '\n',
            props.Text("build_info"),
            Path.GetFileName(props.Text("model_path")),
            props.Text("model_ftype"),
            template,
            props.Text("bos_token"),
            props.Text("eos_token"),
            defaults?.Member("params")?.GetRawText());
        var models = await ModelsAsync(http, cancellationToken);
        var context = defaults?.Whole("n_ctx") ?? 0;
        return new EngineFacts(
            OpenAiEngineKind.LlamaCpp,
            [.. models.Select(model => new ModelFacts(model.Text("id")!, context, model.Member("meta")?.Whole("n_vocab") ?? 0, $"{identity}\n{SizesOf(model)}"))],
            props.Whole("total_slots"),
            template.Contains("think", StringComparison.Ordinal) || template.Contains("<|channel|>", StringComparison.Ordinal));
    }

    private static async ValueTask<EngineFacts> SgLangAsync(EngineHttp http, JsonElement info, CancellationToken cancellationToken)
    {
        var server = await FindEitherAsync(http, "server_info", "get_server_info", cancellationToken) ?? default;
        var told = new[] { "version", "dtype", "quantization", "kv_cache_dtype", "tp_size", "attention_backend", "chat_template" };
        var identity = string.Join('\n', told.Select(name => server.Member(name)?.GetRawText()).Prepend(info.GetRawText()));
        var models = await ModelsAsync(http, cancellationToken);
        return new EngineFacts(
            OpenAiEngineKind.SgLang,
            [.. models.Select(model => Plain(model, identity))],
            server.Whole("max_running_requests"),
            SpeaksOfReasoning: false);
    }

    private static async ValueTask<EngineFacts> VllmOrOtherAsync(EngineHttp http, OpenAiEngineKind kind, CancellationToken cancellationToken)
    {
        var version = (await http.FindAsync("version", cancellationToken))?.Text("version");
        if (kind == OpenAiEngineKind.Auto)
        {
            var models = await ModelsAsync(http, cancellationToken);
            var isVllm = version is not null && models.Any(model => model.Text("owned_by") == "vllm");
            kind = isVllm ? OpenAiEngineKind.Vllm : OpenAiEngineKind.Generic;
        }

        return await PlainAsync(http, kind, version, cancellationToken);
    }

    private static async ValueTask<EngineFacts> PlainAsync(EngineHttp http, OpenAiEngineKind kind, string? version, CancellationToken cancellationToken)
    {
        var models = await ModelsAsync(http, cancellationToken);
        return new EngineFacts(kind, [.. models.Select(model => Plain(model, version ?? ""))], Slots: null, SpeaksOfReasoning: false);
    }

    private static ModelFacts Plain(JsonElement model, string identity) => new(
        model.Text("id")!, model.Whole("max_model_len") ?? 0, VocabularySize: 0, $"{identity}\n{model.Text("id")}\n{model.Text("root")}\n{model.Text("owned_by")}");

    private static string SizesOf(JsonElement model)
    {
        var told = new[] { "vocab_type", "n_vocab", "n_ctx_train", "n_embd", "n_params", "size" };
        return string.Join('\n', told.Select(name => model.Member("meta")?.Member(name)?.GetRawText()));
    }

    private static async ValueTask<IReadOnlyList<JsonElement>> ModelsAsync(EngineHttp http, CancellationToken cancellationToken)
    {
        var list = await http.FindAsync("v1/models", cancellationToken);
        var models = (list ?? default).Elements("data").Where(model => model.Text("id") is { Length: > 0 }).ToList();
        return models.Count is > 0 and <= MostModels
            ? models
            : throw new FaultException(Fault.EngineFailed, $"{http.Name} lists {models.Count} models at /v1/models; allowed: 1 to {MostModels}");
    }

    private static async ValueTask<JsonElement?> FindEitherAsync(EngineHttp http, string path, string older, CancellationToken cancellationToken) =>
        await http.FindAsync(path, cancellationToken) ?? await http.FindAsync(older, cancellationToken);

    private static void Require(bool isRight, EngineHttp http, OpenAiEngineKind kind, string reason)
    {
        if (!isRight)
        {
            throw new FaultException(Fault.Unsupported, $"{http.Name} is not of the kind {kind.ToWireName()}: {reason}");
        }
    }
}
