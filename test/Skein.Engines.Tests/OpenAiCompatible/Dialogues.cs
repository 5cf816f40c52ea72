using System.Text.Json;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>Servers that speak as vLLM, SGLang and Ollama do by their documents, with <see cref="FakeModel"/> behind them.</summary>
internal static class Dialogues
{
    private const string Done = "[DONE]";

    public static FakeServer Vllm() => new FakeServer()
        .On("/version", """{"version":"0.12.0"}""")
        .On("/v1/models", """{"object":"list","data":[{"id":"fake","object":"model","owned_by":"vllm","root":"org/fake","max_model_len":64}]}""")
        .On("/tokenize", _ => [Json(new { count = 2, max_model_len = 64, tokens = new[] { 0, 1 } })])
        .On("/detokenize", body => [Json(new { prompt = FakeModel.TextOf(Ids(body, "tokens")) })])
        .On("/v1/completions", VllmCompletion)
        .On("/metrics", "# TYPE vllm:num_requests_waiting gauge\nvllm:num_requests_waiting{engine=\"0\",model_name=\"a } b\"} 3.0\nvllm:num_requests_waiting{engine=\"1\"} 2\n"
            + "vllm:kv_cache_usage_perc{engine=\"0\"} 0.25\nvllm:kv_cache_usage_perc{engine=\"1\"} 0.5\nvllm:num_requests_waiting_by_reason 9\n");

    public static FakeServer SgLang(bool isIncremental) => new FakeServer()
        .On("/get_model_info", """{"model_path":"org/fake","tokenizer_path":"org/fake","is_generation":true}""")
        .On("/get_server_info", """{"version":"0.5.5","max_running_requests":48,"dtype":"auto","enable_cache_report":true}""")
        .On("/v1/models", """{"object":"list","data":[{"id":"fake","object":"model","owned_by":"sglang","root":"fake","max_model_len":64}]}""")
        .On("/tokenize", _ => [Json(new { count = 2, max_model_len = 64, tokens = new[] { 0, 1 } })])
        .On("/detokenize", body => [Json(new { text = FakeModel.TextOf(Ids(body, "tokens")) })])
        .On("/generate", body => SgLangGenerate(body, isIncremental))
        .On("/metrics", "sglang:num_running_reqs{model_name=\"fake\"} 7.0\nsglang:num_queue_reqs{model_name=\"fake\"} 1.0\nsglang:token_usage{model_name=\"fake\"} 0.28\n");

    /// <param name="chat">The events of every chat.</param>
    public static FakeServer Ollama(params string[] chat) => new FakeServer()
        .On("/api/version", """{"version":"0.13.0"}""")
        .On("/api/tags", """{"models":[{"name":"fake:1b","model":"fake:1b","details":{"format":"gguf","family":"llama"}}]}""")
        .On("/api/ps", """{"models":[{"name":"fake:1b"}]}""")
        .On("/v1/models", """{"object":"list","data":[{"id":"fake:1b","object":"model","created":1,"owned_by":"library"}]}""")
        .On("/v1/chat/completions", _ => [.. chat, Done]);

    public static IReadOnlyList<uint> Ids(JsonElement body, string name) => [.. body.GetProperty(name).EnumerateArray().Select(id => id.GetUInt32())];

    public static IEnumerable<string> VllmCompletion(JsonElement body)
    {
        if (body.GetProperty("prompt").ValueKind == JsonValueKind.String)
        {
            return [Json(new { choices = new[] { new { index = 0, text = "…", token_ids = new[] { 5, 6 }, finish_reason = "length" } } })];
        }

        var limit = body.GetProperty("max_tokens").GetInt32();
        var steps = FakeModel.Generate(Ids(body, "prompt"), limit).ToList();
        return
        [
            .. steps.Select((step, i) => Json(new
            {
                id = "cmpl-1",
                choices = new[]
                {
                    new
                    {
                        index = 0,
                        text = step.Text,
                        logprobs = (object?)null,
                        finish_reason = step.Id == FakeModel.EndToken ? "stop" : i == limit - 1 ? "length" : null,
                        stop_reason = (object?)null,
                        token_ids = new[] { step.Id },
                    },
                },
            })),
            Done,
        ];
    }

    private static IEnumerable<string> SgLangGenerate(JsonElement body, bool isIncremental)
    {
        if (body.TryGetProperty("text", out _))
        {
            return [Json(new { text = "…", output_ids = new[] { 5, 6 } })];
        }

        var limit = body.GetProperty("sampling_params").GetProperty("max_new_tokens").GetInt32();
        var steps = FakeModel.Generate(Ids(body, "input_ids"), limit).ToList();
        return
        [
            .. steps.Select((step, i) => Json(new
            {
                text = isIncremental ? step.Text : string.Concat(steps.Take(i + 1).Select(earlier => earlier.Text)),
                output_ids = isIncremental ? [step.Id] : steps.Take(i + 1).Select(earlier => earlier.Id).ToArray(),
                meta_info = new
                {
                    completion_tokens = i + 1,
                    finish_reason = step.Id == FakeModel.EndToken ? new { type = "stop", matched = (uint?)step.Id }
                        : i == limit - 1 ? new { type = "length", matched = (uint?)null }
                        : null,
                },
            })),
            Done,
        ];
    }

    private static string Json(object value) => JsonSerializer.Serialize(value);
}
