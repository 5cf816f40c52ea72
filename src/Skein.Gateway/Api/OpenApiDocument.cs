using Grpc.AspNetCore.Server;
using Microsoft.AspNetCore.Routing;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api;

/// <summary>
/// <c>/openapi.json</c>: the paths and methods that are served, in OpenAPI's format. Bodies are those of the APIs that are imitated, whose own descriptions
/// are the reference: their members are not listed.
/// </summary>
internal static class OpenApiDocument
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    public static void MapOpenApi(this IEndpointRouteBuilder endpoints)
    {
        // Other paths are mapped later.
        var document = new Lazy<byte[]>(() => Write(PathsOf(endpoints)));
        endpoints.MapMethods(
            "/openapi.json", [HttpMethods.Get, HttpMethods.Head], ApiRoutes.Identified(http => ApiError.SendJsonAsync(http, document.Value)));
    }

    private static Dictionary<string, object> PathsOf(IEndpointRouteBuilder endpoints) => endpoints.DataSources.SelectMany(source => source.Endpoints)
        .OfType<RouteEndpoint>()
        .Where(endpoint => endpoint.Metadata.GetMetadata<GrpcMethodMetadata>() is null)
        .Select(endpoint => (
            Pattern: endpoint.RoutePattern.RawText!.Replace("{**", "{", StringComparison.Ordinal),
            Methods: endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? []))
        .GroupBy(path => path.Pattern, path => path.Methods, StringComparer.Ordinal)
        .Select(path => (Pattern: path.Key, Methods: path.SelectMany(methods => methods).Distinct(StringComparer.Ordinal).ToList()))
        .Where(path => path.Methods.Count > 0)
        .ToDictionary(path => path.Pattern, object (path) => PathItem(path.Pattern, path.Methods), StringComparer.Ordinal);

    private static byte[] Write(Dictionary<string, object> paths)
    {
        var version = typeof(OpenApiDocument).Assembly.GetName().Version?.ToString(3) ?? "0.0.0";
        return JsonSerializer.SerializeToUtf8Bytes(
            new Dictionary<string, object>(StringComparer.Ordinal)
            {
                ["openapi"] = "3.1.0",
                ["info"] = new { title = "Skein", version },
                ["paths"] = paths,
                ["components"] = new { schemas = new { Error = ErrorSchema() } },
            },
            Indented);
    }

    private static Dictionary<string, object> PathItem(string pattern, IReadOnlyList<string> methods) => methods.ToDictionary(
        method => method.ToLowerInvariant(),
        object (method) =>
        {
            var operation = new Dictionary<string, object>(StringComparer.Ordinal)
            {
                ["operationId"] = $"{method.ToLowerInvariant()}{pattern.Replace('/', '_').Replace('{', '_').Replace("}", "", StringComparison.Ordinal)}",
                ["responses"] = Responses(),
            };
            if (HttpMethods.IsPost(method))
                operation["requestBody"] = new { required = true, content = Json(new { type = "object" }) };
            if (pattern.IndexOf('{', StringComparison.Ordinal) is > 0 and var start)
            {
                var name = pattern[(start + 1)..pattern.IndexOf('}', StringComparison.Ordinal)];
                operation["parameters"] = new[]
                {
                    new { name, @in = "path", required = true, schema = new { type = "string" } },
                };
            }
            return operation;
        },
        StringComparer.Ordinal);

    private static Dictionary<string, object> Responses() => new(StringComparer.Ordinal)
    {
        ["200"] = new { description = "The answer; server-sent events where the request asks for a stream." },
        ["default"] = new { description = "An error.", content = Json(new Dictionary<string, string> { ["$ref"] = "#/components/schemas/Error" }) },
    };

    private static Dictionary<string, object> Json(object schema) => new(StringComparer.Ordinal) { ["application/json"] = new { schema } };

    private static object ErrorSchema() => new
    {
        type = "object",
        properties = new
        {
            error = new
            {
                type = "object",
                properties = new
                {
                    message = new { type = "string" },
                    type = new { type = "string" },
                    param = new { type = new[] { "string", "null" } },
                    code = new { type = new[] { "string", "integer", "null" } },
                },
            },
        },
    };
}
