using System.Net;

namespace Skein.Engines.OpenAiCompatible.Wire;

/// <summary>Reads the answer of <c>/v1/models</c>, which is the first thing that a wrong URL gets wrong: each error says what to look at. Stateless.</summary>
internal static class ModelList
{
    public const string Path = "v1/models";

    private const int MaxModels = 1_000;

    /// <param name="server">Name of the server for messages.</param>
    /// <param name="hasKey">Whether a key was sent.</param>
    /// <returns>The models that have an id.</returns>
    /// <exception cref="FaultException">It is no list, or lists none or too many.</exception>
    public static IReadOnlyList<JsonElement> Read(EngineReply answer, string server, bool hasKey)
    {
        if (answer.IsMissing)
        {
            throw new FaultException(
                Fault.Unsupported, $"{server} answers {(int)answer.Status} at /{Path}; its URL needs another path, or it is no such server");
        }

        if (answer.IsRedirect)
        {
            throw new FaultException(
                Fault.Unsupported, $"{server} answers {(int)answer.Status} at /{Path}, a redirect to {answer.Location ?? "nowhere"}, which is not followed")
            {
                Cause = "redirects to another address: its URL must be the one that answers itself",
            };
        }

        if (answer.Status != HttpStatusCode.OK)
            throw EngineErrors.From(server, answer, Path, hasKey);

        var list = Parse(answer.Body, server);
        if (!IsList(list))
            throw new FaultException(Fault.Unsupported, $"{server} answers /{Path} with JSON that is not a list of models");

        // Some services list models without an object around them.
        var all = list.ValueKind == JsonValueKind.Array ? list.EnumerateArray() : list.Elements("data");
        var models = all.Where(model => model.Text("id") is { Length: > 0 }).ToList();
        return models.Count is > 0 and <= MaxModels ? models
            : throw new FaultException(Fault.EngineFailed, $"{server} lists {models.Count} models at /{Path}; allowed: 1 to {MaxModels}")
            {
                Cause = models.Count == 0 ? "lists no models" : $"lists more than {MaxModels} models",
            };
    }

    // Ollama without a model says null for the list.
    private static bool IsList(JsonElement answer) =>
        answer.ValueKind == JsonValueKind.Array
        || (answer.ValueKind == JsonValueKind.Object && answer.TryGetProperty("data", out var data)
            && data.ValueKind is JsonValueKind.Array or JsonValueKind.Null);

    private static JsonElement Parse(byte[] body, string server)
    {
        try
        {
            return JsonElement.Parse(body);
        }
        catch (JsonException exception)
        {
            throw new FaultException(Fault.Unsupported, $"{server} answers /{Path} with a body that is not JSON", exception);
        }
    }
}
