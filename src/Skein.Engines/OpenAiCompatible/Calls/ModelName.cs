using System.Net.Http.Headers;

namespace Skein.Engines.OpenAiCompatible.Calls;

/// <summary>Exchanges the name of the model in bodies that are passed on. Every other byte stays as it is. Pure.</summary>
internal static class ModelName
{
    /// <summary>The name that the client used for the model; empty: none.</summary>
    public static string AskedIn(InvokeRequest request) => request.AskedModel.Length > 0 ? request.AskedModel : request.Model;

    /// <summary>The body of a call with the server's name of the model, where the call names one.</summary>
    /// <exception cref="FaultException">The place of the name is not within the body.</exception>
    public static ReadOnlyMemory<byte> Put(InvokeRequest request, string model)
    {
        var body = request.Body.Memory;
        if (request.ModelLength == 0 || AskedIn(request) == model)
            return body;
        if ((long)request.ModelOffset + request.ModelLength > body.Length)
            throw new FaultException(Fault.InvalidRequest, $"model_offset is {request.ModelOffset}; allowed: a place within the body of {body.Length} bytes");

        var isForm = MediaTypeHeaderValue.TryParse(request.ContentType, out var type) && type.MediaType == "multipart/form-data";
        return Splice(
            body, (int)request.ModelOffset, (int)request.ModelLength, isForm ? Encoding.UTF8.GetBytes(model) : JsonSerializer.SerializeToUtf8Bytes(model));
    }

    /// <summary>A query with the server's name of the model, where it names one.</summary>
    public static string PutInQuery(InvokeRequest request, string model)
    {
        if (request.Query.Length == 0 || AskedIn(request) == model)
            return request.Query;
        var parameters = request.Query[1..].Split('&').Select(parameter =>
            parameter.StartsWith("model=", StringComparison.Ordinal) ? $"model={Uri.EscapeDataString(model)}" : parameter);
        return $"?{string.Join('&', parameters)}";
    }

    /// <summary>A JSON object whose member <c>model</c> has another name; the same bytes if that member is not as expected.</summary>
    public static ReadOnlyMemory<byte> Replace(ReadOnlyMemory<byte> json, string from, string to)
    {
        try
        {
            var reader = new Utf8JsonReader(json.Span);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
                return json;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isModel = reader.ValueTextEquals("model"u8);
                reader.Read();
                if (isModel && reader.TokenType == JsonTokenType.String && reader.ValueTextEquals(from))
                {
                    var start = (int)reader.TokenStartIndex;
                    return Splice(json, start, (int)reader.BytesConsumed - start, JsonSerializer.SerializeToUtf8Bytes(to));
                }

                reader.Skip();
            }
        }
        catch (Exception broken) when (broken is JsonException or InvalidOperationException)
        {
            // Not JSON, or half a surrogate pair: the client gets what the server sent.
        }

        return json;
    }

    private static byte[] Splice(ReadOnlyMemory<byte> body, int offset, int length, byte[] name) =>
        [.. body.Span[..offset], .. name, .. body.Span[(offset + length)..]];
}
