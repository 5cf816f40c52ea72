namespace Skein.Gateway.Api.Http;

/// <summary>
/// Finds the key by which a client marks requests that belong together: Skein's own header, else what agents and SDKs send by themselves. Values from others
/// are not judged: one that does not fit is left out.
/// </summary>
internal static class SessionKey
{
    /// <summary>In: 1 to 256 bytes; requests with the same value belong together.</summary>
    public const string Header = "x-skein-session";

    public const int MaxBytes = 256;

    private static readonly string[] AgentHeaders = ["x-session-affinity", "session-id", "x-claude-code-session-id"];

    /// <param name="header">Returns a header's value by its name; null or empty if absent.</param>
    /// <param name="userId"><c>metadata.user_id</c>, if the dialect has read it; null: it is among the request's members, if anywhere.</param>
    /// <returns>The key; empty if there is none.</returns>
    /// <exception cref="RequestRefusedException">The client's <see cref="Header"/> is too long.</exception>
    public static string Find(GenerateRequest request, Func<string, string?> header, string? userId = null)
    {
        if (header(Header) is { Length: > 0 } own)
        {
            return IsShort(own)
                ? own
                : throw RequestRefusedException.Invalid(Header, $"{Encoding.UTF8.GetByteCount(own)} bytes; allowed: 1 to {MaxBytes} bytes");
        }

        if (TextOf(request, "prompt_cache_key") is { } cacheKey)
            return cacheKey;
        foreach (var name in AgentHeaders)
        {
            if (header(name) is { Length: > 0 } value && IsShort(value))
                return value;
        }

        if (userId is { Length: > 0 })
            return IsShort(userId) ? userId : "";
        return TextOf(request, "metadata", "user_id") ?? "";
    }

    private static bool IsShort(string value) => Encoding.UTF8.GetByteCount(value) <= MaxBytes;

    private static string? TextOf(GenerateRequest request, string member, string? inner = null)
    {
        foreach (var extra in request.Extra)
        {
            if (extra.Name != member)
                continue;
            try
            {
                var reader = new Utf8JsonReader(extra.Json.Span);
                if (!reader.Read() || (inner is not null && !MoveTo(ref reader, inner)))
                    return null;
                return reader.TokenType == JsonTokenType.String && reader.GetString() is { Length: > 0 } text && IsShort(text) ? text : null;
            }
            catch (Exception error) when (error is JsonException or InvalidOperationException)
            {
                // Broken JSON or characters: whoever reads the member says so.
                return null;
            }
        }

        return null;
    }

    /// <summary>Moves from an object's begin to the value of one of its members.</summary>
    private static bool MoveTo(ref Utf8JsonReader reader, string member)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
            return false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isIt = reader.ValueTextEquals(member);
            reader.Read();
            if (isIt)
                return true;
            reader.Skip();
        }

        return false;
    }
}
