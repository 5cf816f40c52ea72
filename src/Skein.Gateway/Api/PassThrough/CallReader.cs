using Google.Protobuf;
using Microsoft.Net.Http.Headers;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.PassThrough;

/// <summary>
/// Reads what the gateway must know of a call that is passed through: the model's name and its place in the body. All else is the engine's to read.
/// </summary>
internal static class CallReader
{
    private const string Model = "model";

    /// <summary>Parameters with which some clients send a key of the gateway.</summary>
    private static readonly HashSet<string> Credentials = new(StringComparer.OrdinalIgnoreCase) { "api_key", "api-key", "apikey", "access_token" };

    /// <param name="body">Must not change while the call runs: the result references it.</param>
    /// <exception cref="RequestRefusedException">The body is not JSON as it claims, or its model is not a name.</exception>
    public static InvokeRequest Read(HttpRequest http, string path, ReadOnlyMemory<byte> body)
    {
        var request = new InvokeRequest
        {
            Method = http.Method,
            Path = path,
            Query = WithoutCredentials(http.QueryString.Value ?? ""),
            ContentType = RequestBody.IsPlainCurl(http) && !body.IsEmpty ? "application/json" : http.ContentType ?? "",
            Accept = http.Headers.Accept.ToString(),
            Body = UnsafeByteOperations.UnsafeWrap(body),
        };
        var isForm = MediaTypeHeaderValue.TryParse(request.ContentType, out var type)
            && type.MediaType.Equals("multipart/form-data", StringComparison.OrdinalIgnoreCase);
        var place = isForm ? FormModel.Find(body.Span, HeaderUtilities.RemoveQuotes(type!.Boundary).Value ?? "")
            : body.IsEmpty || !IsJson(request.ContentType) ? null
            : FindInJson(body);
        if (place is var (offset, length, name))
        {
            (request.ModelOffset, request.ModelLength, request.Model) = ((uint)offset, (uint)length, name);
        }
        else if (http.Query[Model] is { Count: 1 } named)
        {
            request.Model = named.ToString();
        }

        return Encoding.UTF8.GetByteCount(request.Model) <= RequestLimits.ModelBytes && RequestLimits.IsModel(request.Model)
            ? request
            : throw RequestRefusedException.Invalid(Model, $"is too long or holds a control character; allowed: {RequestLimits.ModelAllowed}");
    }

    private static string WithoutCredentials(string query)
    {
        if (query.Length < 2)
            return "";
        var kept = query[1..].Split('&').Where(parameter => !Credentials.Contains(Uri.UnescapeDataString(parameter.Split('=', 2)[0])));
        return string.Join('&', kept) is { Length: > 0 } rest ? $"?{rest}" : "";
    }

    private static bool IsJson(string contentType) =>
        MediaTypeHeaderValue.TryParse(contentType, out var type)
        && (type.MediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase) || type.Suffix.Equals("json", StringComparison.OrdinalIgnoreCase));

    /// <summary>The last byte is read too: a second <c>model</c> would be what the engine uses.</summary>
    private static (int Offset, int Length, string Name)? FindInJson(ReadOnlyMemory<byte> body)
    {
        var preamble = body.Span.StartsWith(Encoding.UTF8.Preamble) ? Encoding.UTF8.Preamble.Length : 0;
        (int Offset, int Length, string Name)? found = null;
        try
        {
            var reader = new Utf8JsonReader(body.Span[preamble..], JsonBody.Strict);
            reader.Read();
            if (reader.TokenType != JsonTokenType.StartObject)
                throw RequestRefusedException.Json(null, $"the body is {JsonExcerpt.Of(ref reader)}; allowed: a JSON object");
            while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
            {
                var isModel = !reader.ValueIsEscaped && reader.ValueSpan.SequenceEqual("model"u8);
                reader.Read();
                if (isModel && found is not null)
                    throw RequestRefusedException.Twice(Model);
                if (isModel && reader.TokenType != JsonTokenType.Null)
                {
                    var start = (int)reader.TokenStartIndex;
                    var name = JsonField.Text(ref reader, Model, 1, RequestLimits.ModelBytes);
                    found = (preamble + start, (int)reader.BytesConsumed - start, name);
                }

                reader.Skip();
            }

            reader.Read(); // throws if anything follows the object
            return found;
        }
        catch (JsonException e)
        {
            throw JsonBody.Broken(e);
        }
    }
}
