using System.Text.Json;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.OpenAi.Requests;

/// <summary>
/// <c>prompt</c> of a completion: text, token ids, or an array with exactly one of these. Several prompts are refused: they would be several
/// requests in the queue.
/// </summary>
internal static class PromptMember
{
    public const string Name = "prompt";
    public const string Allowed = "one string, one array of token ids, or an array with one of these";

    public static void Read(ref Utf8JsonReader reader, string name, ReadOnlyMemory<byte> body, OpenAiRequest request)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.String:
                request.Generate.Text = JsonField.Text(ref reader, name, 0, int.MaxValue);
                return;
            case JsonTokenType.StartArray:
                ReadArray(ref reader, request.Generate);
                return;
            default:
                throw RequestRefusedException.NotA(name, JsonExcerpt.Of(ref reader), "a prompt", Allowed);
        }
    }

    private static void ReadArray(ref Utf8JsonReader reader, GenerateRequest generate)
    {
        reader.Read();
        switch (reader.TokenType)
        {
            case JsonTokenType.EndArray:
                throw RequestRefusedException.Invalid(Name, $"[] is empty; allowed: {Allowed}");
            case JsonTokenType.Number:
                generate.TokenIds = ReadIds(ref reader);
                return;
            case JsonTokenType.String:
                generate.Text = JsonField.Text(ref reader, $"{Name}[0]", 0, int.MaxValue);
                break;
            case JsonTokenType.StartArray:
                reader.Read();
                generate.TokenIds = ReadIds(ref reader);
                break;
            default:
                throw RequestRefusedException.NotA($"{Name}[0]", JsonExcerpt.Of(ref reader), "a prompt", Allowed);
        }

        reader.Read();
        if (reader.TokenType != JsonTokenType.EndArray)
            throw RequestRefusedException.Invalid(Name, $"an array of several prompts; allowed: {Allowed}");
    }

    private static TokenIds ReadIds(ref Utf8JsonReader reader)
    {
        var ids = new TokenIds();
        for (; reader.TokenType != JsonTokenType.EndArray; reader.Read())
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetUInt32(out var id))
                throw RequestRefusedException.NotA($"{Name}[{ids.Ids.Count}]", JsonExcerpt.Of(ref reader), "a token id", "0 to 4294967295");
            ids.Ids.Add(id);
        }

        return ids.Ids.Count > 0 ? ids : throw RequestRefusedException.Invalid(Name, $"[[]] is empty; allowed: {Allowed}");
    }
}
