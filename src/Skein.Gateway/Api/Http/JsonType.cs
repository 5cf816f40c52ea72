namespace Skein.Gateway.Api.Http;

/// <summary>The type that an API documents for a member whose value Skein does not read itself.</summary>
/// <param name="Expected">For messages: what the value must be.</param>
/// <param name="Allowed">For messages: which values are allowed.</param>
internal sealed record JsonType(string Expected, string Allowed, params JsonTokenType[] Tokens)
{
    public static readonly JsonType Text = new("a string", "a string", JsonTokenType.String);
    public static readonly JsonType Flag = new("a boolean", "true or false", JsonTokenType.True, JsonTokenType.False);
    public static readonly JsonType Object = new("an object", "an object", JsonTokenType.StartObject);
    public static readonly JsonType Array = new("an array", "an array", JsonTokenType.StartArray);
    public static readonly JsonType ObjectOrArray = new("an object or an array", "an object or an array", JsonTokenType.StartObject, JsonTokenType.StartArray);
    public static readonly JsonType TextOrObject = new("a string or an object", "a string or an object", JsonTokenType.String, JsonTokenType.StartObject);
    public static readonly JsonType Whole = new("a whole number", "a whole number", JsonTokenType.Number);

    /// <summary>Checks the first token of a value.</summary>
    /// <exception cref="RequestRefusedException">The value has another type.</exception>
    public void Check(ref Utf8JsonReader reader, string name)
    {
        if (!Tokens.Contains(reader.TokenType) || (reader.TokenType == JsonTokenType.Number && !reader.TryGetInt64(out _)))
            throw RequestRefusedException.NotA(name, JsonExcerpt.Of(ref reader), Expected, Allowed);
    }
}
