using Skein.Gateway.Api.Http;
using Skein.Gateway.Api.OpenAi.Responses.Requests;

namespace Skein.Gateway.Api.OpenAi.Responses.Answers;

/// <summary>What an answer depends on in its request. Taken before the session owns the request. Immutable.</summary>
/// <param name="Model">The model that the client named; empty if it named none.</param>
/// <param name="Created">Unix time in seconds.</param>
/// <param name="Tools">The names of the tools on the client's side.</param>
/// <param name="WithLogprobs">Whether texts have log probabilities.</param>
/// <param name="Kept">Receives the items of the answer; null: they are not kept.</param>
/// <param name="Repeated">The members of every response object that repeat the request, with a comma before each.</param>
internal sealed record ResponsePlan(string Model, long Created, ToolCatalog Tools, bool WithLogprobs, KeptItems? Kept, byte[] Repeated)
{
    public static ResponsePlan For(ResponsesRequest request, KeptItems kept, DateTimeOffset now) => new(
        request.Generate.Model, now.ToUnixTimeSeconds(), request.Catalog, request.Generate.HasLogprobs, request.Store ? kept : null,
        Repeat(request));

    private static byte[] Repeat(ResponsesRequest request)
    {
        var bytes = new ArrayBufferWriter<byte>(512);
        var json = new JsonSink(bytes);
        json.Raw(",\"background\":false,\"store\":false,\"previous_response_id\":null,\"truncation\":\"disabled\""u8);
        Write(ref json, ",\"instructions\":"u8, request.Instructions, "null"u8);
        Write(ref json, ",\"metadata\":"u8, request.Metadata, "{}"u8);
        Write(ref json, ",\"parallel_tool_calls\":"u8, request.ParallelToolCalls, "true"u8);
        Write(ref json, ",\"reasoning\":"u8, request.Reasoning, """{"effort":null,"summary":null}"""u8);
        Write(ref json, ",\"text\":"u8, request.Text, """{"format":{"type":"text"}}"""u8);
        Write(ref json, ",\"tool_choice\":"u8, request.ToolChoice, "\"auto\""u8);
        Write(ref json, ",\"tools\":"u8, request.Tools, "[]"u8);
        json.Raw(",\"max_output_tokens\":"u8);
        if (request.Generate.HasMaxTokens)
            json.Number(request.Generate.MaxTokens);
        else
            json.Raw("null"u8);
        json.Raw(",\"temperature\":"u8);
        WriteNumber(ref json, request.Generate.Sampling is { HasTemperature: true } ? request.Generate.Sampling.Temperature : null);
        json.Raw(",\"top_p\":"u8);
        WriteNumber(ref json, request.Generate.Sampling is { HasTopP: true } ? request.Generate.Sampling.TopP : null);
        json.Complete();
        return bytes.WrittenSpan.ToArray();
    }

    // A line break inside an event would start a new field. In valid JSON it only occurs between tokens.
    private static void Write(scoped ref JsonSink json, ReadOnlySpan<byte> name, JsonPart? part, ReadOnlySpan<byte> otherwise)
    {
        json.Raw(name);
        if (part is not { } value)
        {
            json.Raw(otherwise);
            return;
        }

        var line = value.Raw.ToArray();
        line.AsSpan().Replace((byte)'\r', (byte)' ');
        line.AsSpan().Replace((byte)'\n', (byte)' ');
        json.Raw(line);
    }

    private static void WriteNumber(scoped ref JsonSink json, float? value)
    {
        if (value is { } number)
            json.Number(number);
        else
            json.Raw("null"u8);
    }
}
