namespace Skein.Upstreams.Tests.Servers;

/// <summary>Servers as gateways find them out.</summary>
internal static class KnownServers
{
    /// <summary>A list of models.</summary>
    public static Answer Models(params string[] names) => Answers.Json(
        $$"""{"object":"list","data":[{{string.Join(',', names.Select(name => $$"""{"id":"{{name}}","object":"model","created":1700000000,"owned_by":"test"}"""))}}]}""");

    /// <param name="generate">Answers generations of clients. Default: the small model.</param>
    public static ScriptedServer Vllm(Answer? generate = null) => new ScriptedServer(generate)
        .On("/version", Answers.Json("""{"version":"0.32.0"}"""))
        .On("/v1/models",
            Answers.Json($$"""{"object":"list","data":[{"id":"{{ScriptedServer.Model}}","object":"model","owned_by":"vllm","root":"org/story","max_model_len":512}]}"""))
        .On("/ping", Answers.Json(""))
        .On("/metrics", Answers.Json("vllm:num_requests_running{engine=\"0\"} 0\nvllm:num_requests_waiting{engine=\"0\"} 0\n", type: "text/plain"));

    public static ScriptedServer Ollama() => new ScriptedServer()
        .On("/api/version", Answers.Json("""{"version":"0.13.5"}"""))
        .On("/api/tags", Answers.Json("""{"models":[{"name":"tiny:latest","model":"tiny:latest"}]}"""))
        .On("/api/ps", Answers.Json("""{"models":[{"name":"tiny:latest","model":"tiny:latest","context_length":4096}]}"""))
        .On("/", Answers.Json("Ollama is running", type: "text/plain"))
        .On("/v1/models", Answers.Json("""{"object":"list","data":[{"id":"tiny:latest","object":"model","created":1796037000,"owned_by":"library"}]}"""));

    /// <summary>A server whose second request ends the first one in [DONE], without a finish reason.</summary>
    public static ScriptedServer Interrupting(string ownedBy)
    {
        var current = new TaskCompletionSource();
        Answer generate = async exchange =>
        {
            var mine = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            Interlocked.Exchange(ref current, mine).TrySetResult();
            await exchange.StreamAsync();
            var rest = SmallModel.Text[
                (SmallModel.Text.StartsWith(exchange.Request.Delivered, StringComparison.Ordinal) ? exchange.Request.Delivered.Length : 0)..];
            foreach (var word in rest.Chunk(7))
            {
                await exchange.TextAsync(new string(word));
                await exchange.SilenceAsync(TimeSpan.FromMilliseconds(5));
                if (mine.Task.IsCompleted)
                {
                    await exchange.DoneAsync();
                    return await exchange.EndAsync();
                }
            }
            await exchange.FinishAsync();
            await exchange.DoneAsync();
            return await exchange.EndAsync();
        };
        return new ScriptedServer(generate) { GenerateForGateway = generate }
            .On("/v1/models", Answers.Json($$"""{"object":"list","data":[{"id":"story","object":"model","owned_by":"{{ownedBy}}","permissions":[]}]}"""));
    }
}
