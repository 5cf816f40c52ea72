using System.Text;

namespace Skein.Upstreams.Tests.Servers;

/// <summary>Answers that scripts are made of.</summary>
internal static class Answers
{
    /// <summary>A whole answer.</summary>
    /// <param name="headers">More headers, each with its line break.</param>
    public static Answer Json(string body, int status = 200, string headers = "", Ending ending = Ending.KeepAlive, string type = "application/json") =>
        async exchange =>
        {
            await exchange.SendAsync(
                $"HTTP/1.1 {status} Status\r\nContent-Type: {type}\r\n{headers}Content-Length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}");
            return ending;
        };

    /// <summary>An error as OpenAI writes it.</summary>
    public static Answer Error(int status, string message, string headers = "") =>
        Json($$$"""{"error":{"message":{{{Events.Quote(message)}}},"type":"server_error","param":null,"code":null}}""", status, headers);

    /// <summary>Events in chunks, then the last chunk.</summary>
    public static Answer Stream(params string[] events) => async exchange =>
    {
        await exchange.StreamAsync();
        foreach (var data in events)
            await exchange.EventAsync(data);
        return await exchange.EndAsync();
    };

    /// <summary>The body of an event stream as it is, then the last chunk.</summary>
    public static Answer Body(string body) => async exchange =>
    {
        await exchange.StreamAsync();
        await exchange.ChunkAsync(body);
        return await exchange.EndAsync();
    };

    /// <summary>A complete streamed answer of a chat or a completion.</summary>
    public static Answer Words(params string[] words) => async exchange =>
    {
        await exchange.StreamAsync();
        foreach (var word in words)
            await exchange.TextAsync(word);
        await exchange.FinishAsync();
        await exchange.DoneAsync();
        return await exchange.EndAsync();
    };

    /// <summary>Resets the connection without an answer.</summary>
    public static Answer Reset { get; } = _ => Task.FromResult(Ending.Reset);

    /// <summary>Some words, then FIN without a last chunk: what a killed server leaves.</summary>
    public static Answer Cut(params string[] words) => async exchange =>
    {
        await exchange.StreamAsync();
        foreach (var word in words)
            await exchange.TextAsync(word);
        return Ending.Close;
    };

    /// <summary>Answers by the number of the generation; the last answer stays.</summary>
    public static Answer InTurn(params Answer[] answers) => exchange => answers[Math.Min(exchange.Request.Number, answers.Length - 1)](exchange);
}
