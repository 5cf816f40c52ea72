using System.Globalization;
using System.Net;

namespace Skein.Engines.OpenAiCompatible.Wire;

/// <summary>Reads the error answers of servers, and decides what they mean for the request.</summary>
internal static class EngineErrors
{
    private const int LoggedCharacters = 400;
    private const string NoKey = "refuses requests without a key, and none is configured for it";

    private static readonly string[] OverflowWords =
    [
        "exceed_context_size", "context_length_exceeded", "context length", "context size", "context window", "max_model_len",
    ];

    /// <summary>An answer with an error status. The body is JSON of a known form, or anything else.</summary>
    /// <param name="path">The path that was asked, for messages. Default (null): they do not name it.</param>
    /// <param name="hasKey">Whether the request had a key.</param>
    public static FaultException From(string engine, EngineReply reply, string? path = null, bool hasKey = true)
    {
        var status = (int)reply.Status;
        var what = path is null ? $"{engine} answers {status}" : $"{engine} answers {status} at /{path}";
        if (reply.IsRedirect)
            return new FaultException(Fault.EngineFailed, $"{what}, a redirect, which is not followed: its URL must be the address that answers itself");

        if (status is < 400 or > 599)
            return new FaultException(Fault.EngineFailed, $"{what}; allowed: 200, or an error status of 400 to 599");

        return Make(what, Read(Parse(reply.Body), reply.Body, status) with { RetryAfter = reply.RetryAfter }, hasKey);
    }

    /// <summary>An error inside a stream whose status was 200.</summary>
    public static FaultException FromEvent(string engine, ReadOnlySpan<byte> data) =>
        Make($"{engine} ends the stream with an error", Read(Parse(data), data, status: null));

    /// <summary>Whether the server has no such call: 404, 405, or 501, which may also mean that it cannot do what this request asks for.</summary>
    public static bool IsMissingCall(FaultException exception) => exception is { Fault: Fault.Unsupported } or { Engine.Status: 501 };

    /// <summary>Whether an event is an error: it has an <c>error</c> member with content, or is an error object itself.</summary>
    public static bool IsError(JsonElement data) =>
        data.ValueKind == JsonValueKind.Object && (HasContent(data.Member("error")) || data.Text("object") == "error");

    private static bool HasContent(JsonElement? error) => error switch
    {
        null or { ValueKind: JsonValueKind.False } => false,
        { ValueKind: JsonValueKind.String } text => !text.ValueEquals(""),
        { ValueKind: JsonValueKind.Object } members => members.GetPropertyCount() > 0,
        _ => true,
    };

    private static FaultException Make(string what, EngineError error, bool hasKey = true)
    {
        var fault = Classify(error);
        if (fault == Fault.EngineKeyRefused && !hasKey)
            return new FaultException(fault, $"{what}: it refuses requests without a key, and none is configured for it") { Cause = NoKey };

        return fault == Fault.EngineKeyRefused
            // Its words may quote the key.
            ? new FaultException(fault, $"{what}: it refuses the gateway's key for it (status {error.Status})")
            : new FaultException(fault, $"{what}: {OnOneLine(error.Message)}") { Engine = error };
    }

    private static Fault Classify(EngineError error) => error.Status switch
    {
        401 or 403 => Fault.EngineKeyRefused,
        429 or 503 => Fault.EngineBusy,
        404 when error.Message.Contains("model", StringComparison.OrdinalIgnoreCase) || error.Code == "model_not_found" => Fault.ModelNotFound,
        404 or 405 => Fault.Unsupported,
        408 or >= 500 => IsOverflow(error) ? Fault.ContextLengthExceeded : Fault.EngineFailed,
        _ => IsOverflow(error) ? Fault.ContextLengthExceeded : Fault.InvalidRequest,
    };

    private static bool IsOverflow(EngineError error) => OverflowWords.Any(word =>
        error.Message.Contains(word, StringComparison.OrdinalIgnoreCase)
        || error.Type?.Contains(word, StringComparison.OrdinalIgnoreCase) == true
        || error.Code?.Contains(word, StringComparison.OrdinalIgnoreCase) == true);

    private static JsonElement? Parse(ReadOnlySpan<byte> body)
    {
        try
        {
            return JsonElement.Parse(body);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    // {"error":{"message","type","param","code"}}, {"error":"…"}, {"message":"…","object":"error"} (SGLang, older vLLM), {"detail":…} (FastAPI)
    private static EngineError Read(JsonElement? json, ReadOnlySpan<byte> body, int? status)
    {
        if (json is not { ValueKind: JsonValueKind.Object } data)
            return new EngineError(status ?? 500, Message(PlainText(body), status));

        var error = data.Member("error") is { ValueKind: JsonValueKind.Object } inner ? inner : data;
        var detail = data.Member("detail");
        var message = error.Text("message") ?? data.Text("error") ?? (detail is { } details ? Detail(details) : null) ?? data.GetRawText();
        var code = error.Member("code");
        var type = Field(error.Member("type"));
        return new EngineError(
            status ?? StatusOf(error, type), Message(message, status), type, Field(error.Member("param")) ?? ParamOf(detail), Field(code))
        {
            CodeIsNumber = code is { ValueKind: JsonValueKind.Number } number && number.TryGetInt64(out _),
        };
    }

    // A stream has the status 200: what the body states counts.
    private static int StatusOf(JsonElement error, string? type)
    {
        foreach (var name in (ReadOnlySpan<string>)["code", "status_code", "status"])
        {
            if (int.TryParse(Field(error.Member(name)), NumberStyles.None, CultureInfo.InvariantCulture, out var status) && status is >= 400 and <= 599)
                return status;
        }

        return type switch
        {
            "invalid_request_error" or "BadRequestError" => 400,
            "rate_limit_error" => 429,
            _ => 500,
        };
    }

    // FastAPI: [{"loc":["body","messages",0,"role"],"msg":"…"}]
    private static string Detail(JsonElement detail) => detail.ValueKind switch
    {
        JsonValueKind.String => detail.GetString()!,
        JsonValueKind.Array => string.Join("; ", detail.EnumerateArray().Select(item =>
            item.Text("msg") is { } text ? PathOf(item) is { } path ? $"{path}: {text}" : text : item.GetRawText())),
        _ => detail.Text("message") ?? detail.Text("msg") ?? detail.GetRawText(),
    };

    private static string? ParamOf(JsonElement? detail) =>
        detail is { ValueKind: JsonValueKind.Array } items && items.GetArrayLength() > 0 && PathOf(items[0]) is { } path
            ? Cut(path, EngineError.MostFieldChars)
            : null;

    private static string? PathOf(JsonElement item)
    {
        var path = string.Join('.', item.Elements("loc").Select(part => part.ToString()).SkipWhile(part => part == "body"));
        return path.Length > 0 ? path : null;
    }

    private static string? Field(JsonElement? value) => value switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } text => Cut(text.GetString()!, EngineError.MostFieldChars),
        { } other => Cut(other.GetRawText(), EngineError.MostFieldChars),
    };

    private static string Message(string text, int? status)
    {
        var shown = Cut(text.Trim(), EngineError.MostMessageChars);
        return shown.Length > 0 ? shown : status is { } number ? $"the engine answers {number} without a message" : "the engine gives no cause";
    }

    // Proxies answer in HTML, which says nothing to a client of an API.
    private static string PlainText(ReadOnlySpan<byte> body) =>
        body.TrimStart(" \t\r\n"u8).StartsWith("<"u8) ? "" : Encoding.UTF8.GetString(body[..Math.Min(body.Length, EngineError.MostMessageChars)]);

    // Not between the halves of a surrogate pair: half of one cannot be encoded.
    private static string Cut(string text, int most) =>
        text.Length <= most ? text : text[..(char.IsHighSurrogate(text[most - 1]) ? most - 1 : most)];

    private static string OnOneLine(string text)
    {
        var line = string.Concat(text.Select(character => char.IsControl(character) ? ' ' : character));
        return line.Length <= LoggedCharacters ? line : Cut(line, LoggedCharacters) + "…";
    }
}
