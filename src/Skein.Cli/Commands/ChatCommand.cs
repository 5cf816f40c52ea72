using System.Diagnostics;
using System.Net.ServerSentEvents;
using System.Text.Json.Nodes;
using Skein.Cli.Settings;
using Skein.Cli.Terminal;
using Skein.Load.Targets;

namespace Skein.Cli.Commands;

/// <summary><c>skein chat "…"</c>: sends one message and prints the answer as it arrives.</summary>
internal static class ChatCommand
{
    private static readonly Argument<string> Text = new("text") { Description = "The message" };
    private static readonly Setting<string?> Model = Setting.Text("model", "name", "Requested model [default: the only one served]").Of("chat");
    private static readonly Setting<string?> System = Setting.Text("system", "text", "System message");
    private static readonly Setting<int?> MaxTokens = Setting.OptionalNumber("max-tokens", "Maximum answer length in tokens", 1, 1_000_000);
    private static readonly Setting<double?> Temperature = Setting.OptionalReal("temperature", "Sampling temperature; 0 is greedy", 0, 2);

    public static Command Create() => CommandLine.Verb(
        "chat", "Send one message and stream the answer to the terminal", [.. GatewayConnection.All, Model, System, MaxTokens, Temperature], RunAsync, Text);

    private static async Task<int> RunAsync(SettingSources sources)
    {
        var text = sources.Get(Text);
        if (string.IsNullOrWhiteSpace(text))
            throw new UsageException("the message is empty; allowed: a text");
        using var gateway = GatewayConnection.Open(sources);
        var clock = Stopwatch.StartNew();
        using var response = await gateway.ChatAsync(BodyOf(text, sources), CancellationToken.None);
        if (ReplicaOf(response) is { } began)
            await Console.Error.WriteLineAsync($"[{began} answers]");
        TimeSpan? first = null;
        var finished = false;
        JsonNode? usage = null;
        var failovers = "";
        await using var stream = new SseCommentStream(
            await response.Content.ReadAsStreamAsync(), comment => failovers = FailoversIn(comment) ?? failovers);
        try
        {
            await foreach (var item in SseParser.Create(stream).EnumerateAsync())
            {
                if (item.Data == "[DONE]")
                {
                    finished = true;
                    break;
                }
                var chunk = JsonNode.Parse(item.Data);
                if (chunk?["error"]?["message"] is { } error)
                    throw new CommandFailedException($"the stream ended with an error: {error}");
                // The last chunk has usage and no choice.
                var choice = chunk?["choices"]?.AsArray().FirstOrDefault();
                if (choice?["delta"]?["content"]?.GetValue<string>() is { Length: > 0 } piece)
                {
                    first ??= clock.Elapsed;
                    Console.Write(piece);
                }
                usage = chunk?["usage"] ?? usage;
            }
        }
        catch (Exception error) when (error is HttpRequestException or IOException or JsonException or InvalidDataException)
        {
            await Console.Out.WriteLineAsync();
            throw new CommandFailedException($"the stream broke: {error.Message}", error);
        }
        await Console.Out.WriteLineAsync();
        if (!finished)
            throw new CommandFailedException("the stream ended without an end marker");
        await Console.Error.WriteLineAsync(Summary(response, usage, first, clock.Elapsed, failovers));
        return CommandLine.Success;
    }

    private static JsonObject BodyOf(string text, SettingSources sources)
    {
        var messages = new JsonArray();
        if (System.Read(sources) is { } system)
            messages.Add(new JsonObject { ["role"] = "system", ["content"] = system });
        messages.Add(new JsonObject { ["role"] = "user", ["content"] = text });
        var body = new JsonObject { ["messages"] = messages, ["stream"] = true, ["stream_options"] = new JsonObject { ["include_usage"] = true } };
        if (Model.Read(sources) is { } model)
            body["model"] = model;
        if (MaxTokens.Read(sources) is { } maxTokens)
            body["max_tokens"] = maxTokens;
        if (Temperature.Read(sources) is { } temperature)
            body["temperature"] = temperature;
        return body;
    }

    /// <summary>Null: the response began before a replica had answered.</summary>
    private static string? ReplicaOf(HttpResponseMessage response) => response.Headers.TryGetValues("x-skein-replica", out var names) ? names.First() : null;

    /// <summary>The failovers that the gateway reports in a comment: <c>: skein failovers=1 … [token 55: replica-3 lost (…)]</c>.</summary>
    private static string? FailoversIn(string comment)
    {
        var at = comment.IndexOf('[', StringComparison.Ordinal);
        return comment.Contains("skein failovers=", StringComparison.Ordinal) && at >= 0 ? $"; continued elsewhere at {comment[at..].Trim('[', ']')}" : null;
    }

    private static string Summary(HttpResponseMessage response, JsonNode? usage, TimeSpan? first, TimeSpan total, string failovers)
    {
        var tokens = usage?["completion_tokens"]?.GetValue<int>() ?? 0;
        var replica = ReplicaOf(response) ?? "?";
        var perSecond = tokens / Math.Max(0.001, (total - (first ?? TimeSpan.Zero)).TotalSeconds);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"[began on {replica}; {tokens} tokens, first after {first?.TotalMilliseconds ?? 0:0} ms, then {perSecond:0} tokens/s{failovers}]");
    }
}
