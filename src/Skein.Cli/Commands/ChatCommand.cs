using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Net.ServerSentEvents;
using System.Text.Json;
using System.Text.Json.Nodes;
using Skein.Cli.Settings;
using Skein.Cli.Terminal;
using Skein.Load.Targets;
using Skein.Operations.Fleet;

namespace Skein.Cli.Commands;

/// <summary><c>skein chat "…"</c>: asks once and prints the answer as it comes.</summary>
internal static class ChatCommand
{
    private static readonly Argument<string> Text = new("text") { Description = "What to ask" };
    private static readonly Setting<string?> Model = Setting.Text("model", "name", "Model to ask [default: the only one served]").Of("chat");
    private static readonly Setting<string?> System = Setting.Text("system", "text", "System message");
    private static readonly Setting<int?> MaxTokens = Setting.OptionalNumber("max-tokens", "Most tokens to generate", 1, 1_000_000);
    private static readonly Setting<double?> Temperature = Setting.OptionalReal("temperature", "0 is greedy; more is freer", 0, 2);

    public static Command Create()
    {
        var command = CommandLine.Verb(
            "chat", "Ask once and stream the answer to the terminal", [GatewayConnection.Address, Model, System, MaxTokens, Temperature], RunAsync);
        command.Arguments.Add(Text);
        return command;
    }

    private static async Task<int> RunAsync(SettingSources sources)
    {
        using var gateway = GatewayConnection.Open(sources);
        var clock = Stopwatch.StartNew();
        using var response = await gateway.PostAsync("/v1/chat/completions", BodyOf(sources.Get(Text), sources), CancellationToken.None);
        TimeSpan? first = null;
        var finished = false;
        JsonNode? usage = null;
        var note = "";
        await using var stream = new SseCommentStream(await response.Content.ReadAsStreamAsync(), comment => note = FailoversIn(comment) ?? note);
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
                    throw new CommandFailedException($"the stream broke: {error}");
                // The last chunk carries usage and no choice.
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
            throw new CommandFailedException("the stream ended before its end was told");
        await Console.Error.WriteLineAsync(Summary(response, usage, first, clock.Elapsed, note));
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

    /// <summary>What the gateway tells in a comment when the stream had to change replicas: <c>: skein failovers=1 … [token 55: replica-3 lost (…)]</c>.</summary>
    private static string? FailoversIn(string comment)
    {
        var at = comment.IndexOf('[', StringComparison.Ordinal);
        return comment.Contains("skein failovers=", StringComparison.Ordinal) && at >= 0 ? $"; went on elsewhere at {comment[at..].Trim('[', ']')}" : null;
    }

    private static string Summary(HttpResponseMessage response, JsonNode? usage, TimeSpan? first, TimeSpan total, string note)
    {
        var tokens = usage?["completion_tokens"]?.GetValue<int>() ?? 0;
        var replica = response.Headers.TryGetValues("x-skein-replica", out var names) ? names.First() : "?";
        var perSecond = tokens / Math.Max(0.001, (total - (first ?? TimeSpan.Zero)).TotalSeconds);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"[began on {replica}; {tokens} tokens, first after {first?.TotalMilliseconds ?? 0:0} ms, then {perSecond:0} tokens/s{note}]");
    }
}
