namespace Skein.Upstreams.Tests.Servers;

/// <summary>
/// A model that always tells the same text of 40 different words. It continues a delivered part of it, as a real server continues an assistant's message
/// or a prompt.
/// </summary>
internal static class SmallModel
{
    public const int Length = 40;

    /// <summary>The words, each with a blank after it: 7 bytes.</summary>
    public static IReadOnlyList<string> Words { get; } = [.. Enumerable.Range(0, Length).Select(index => $"word{index:00} ")];

    public static string Text { get; } = string.Concat(Words);

    public static Task<Ending> AnswerAsync(Exchange exchange) => AnswerAsync(exchange, exchange.Request.Delivered);

    /// <summary>Begins anew, whatever was delivered.</summary>
    public static Task<Ending> RestartAsync(Exchange exchange) => AnswerAsync(exchange, "");

    /// <summary>Continues what was delivered as far as it is a part of the text.</summary>
    /// <param name="pace">Time before each word of a stream.</param>
    public static async Task<Ending> AnswerAsync(Exchange exchange, string delivered, TimeSpan pace = default)
    {
        var rest = Text.StartsWith(delivered, StringComparison.Ordinal) ? Text[delivered.Length..] : Text;
        var limit = LimitOf(exchange.Request);
        var words = rest.Chunk(7).Select(letters => new string(letters)).Take(limit).ToArray();
        var reason = words.Length == limit && limit * 7 < rest.Length ? "length" : "stop";
        // What it continues is a part of the prompt.
        var prompt = 3 + (rest.Length < Text.Length ? delivered.Length / 7 : 0);
        var usage = $$"""{"prompt_tokens":{{prompt}},"completion_tokens":{{words.Length}},"total_tokens":{{words.Length + prompt}}}""";
        var isChat = exchange.Request.IsChat;
        if (!exchange.Request.IsStreamed)
        {
            var text = Events.Quote(string.Concat(words));
            var choice = isChat
                ? $$"""{"index":0,"message":{"role":"assistant","content":{{text}}},"finish_reason":"{{reason}}"}"""
                : $$"""{"index":0,"text":{{text}},"finish_reason":"{{reason}}"}""";
            return await Answers.Json(Events.Chunk(choice, isChat, $",\"usage\":{usage}").Replace(".chunk", "", StringComparison.Ordinal))(exchange);
        }
        await exchange.StreamAsync();
        foreach (var word in words)
        {
            if (pace > TimeSpan.Zero)
                await exchange.SilenceAsync(pace);
            await exchange.TextAsync(word);
        }
        await exchange.FinishAsync(reason);
        if (exchange.Request.Json.TryGetProperty("stream_options", out _))
            await exchange.EventAsync(Events.Usage(usage, isChat));
        await exchange.DoneAsync();
        return await exchange.EndAsync();
    }

    private static int LimitOf(ScriptedRequest request)
    {
        foreach (var name in (string[])["max_completion_tokens", "max_tokens"])
        {
            if (request.Json.TryGetProperty(name, out var value) && value.TryGetInt32(out var limit) && limit > 0)
                return limit;
        }
        return Length;
    }
}
