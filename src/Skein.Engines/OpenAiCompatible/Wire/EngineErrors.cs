using System.Net;

namespace Skein.Engines.OpenAiCompatible.Wire;

/// <summary>Turns error answers of servers into engine errors.</summary>
internal static class EngineErrors
{
    private const int ShownCharacters = 400;

    private static readonly string[] OverflowWords =
    [
        "exceed_context_size", "context_length_exceeded", "context length", "context size", "context window", "max_model_len",
    ];

    /// <summary>An answer with an error status. The body is JSON of a known form, or anything else.</summary>
    public static FaultException From(string engine, HttpStatusCode status, ReadOnlySpan<byte> body)
    {
        var (message, kind) = Read(body);
        return new FaultException(Classify(status, message, kind), $"{engine} answers {(int)status}: {message}");
    }

    /// <summary>An error inside a stream whose status was 200.</summary>
    public static FaultException FromEvent(string engine, JsonElement data)
    {
        var (message, kind) = Read(data);
        var error = IsOverflow(message, kind) ? Fault.ContextLengthExceeded : Fault.EngineFailed;
        return new FaultException(error, $"{engine} ends the stream: {message}");
    }

    private static Fault Classify(HttpStatusCode status, string message, string kind) => status switch
    {
        HttpStatusCode.BadRequest or HttpStatusCode.RequestEntityTooLarge or HttpStatusCode.UnprocessableEntity =>
            IsOverflow(message, kind) ? Fault.ContextLengthExceeded : Fault.InvalidRequest,
        HttpStatusCode.NotFound when message.Contains("model", StringComparison.OrdinalIgnoreCase) => Fault.ModelNotFound,
        HttpStatusCode.NotFound or HttpStatusCode.MethodNotAllowed or HttpStatusCode.NotImplemented => Fault.Unsupported,
        HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden => Fault.EngineKeyRefused,
        HttpStatusCode.TooManyRequests or HttpStatusCode.ServiceUnavailable => Fault.EngineBusy,
        _ => Fault.EngineFailed,
    };

    private static bool IsOverflow(string message, string kind) => OverflowWords.Any(word =>
        message.Contains(word, StringComparison.OrdinalIgnoreCase) || kind.Contains(word, StringComparison.OrdinalIgnoreCase));

    private static (string Message, string Kind) Read(ReadOnlySpan<byte> body)
    {
        try
        {
            return Read(JsonElement.Parse(body));
        }
        catch (JsonException)
        {
            return (Shown(Encoding.UTF8.GetString(body)), "");
        }
    }

    // {"error":{"message","type","code"}}, {"error":"…"}, {"message":"…"} (older vLLM), {"detail":…} (FastAPI)
    private static (string Message, string Kind) Read(JsonElement data)
    {
        if (data.Member("error") is { ValueKind: JsonValueKind.Object } error)
            return (Shown(error.Text("message") ?? error.GetRawText()), $"{error.Text("type")} {error.Text("code")}");

        return (Shown(data.Text("error") ?? data.Text("message") ?? data.Member("detail")?.GetRawText() ?? data.GetRawText()), "");
    }

    private static string Shown(string text)
    {
        var line = string.Concat(text.Select(character => char.IsControl(character) ? ' ' : character)).Trim();
        return line.Length == 0 ? "(no message)" : line.Length <= ShownCharacters ? line : line[..ShownCharacters] + "…";
    }
}
