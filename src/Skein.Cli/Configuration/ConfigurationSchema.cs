using System.Text.Encodings.Web;
using System.Text.Json.Nodes;
using Skein.Cli.Settings;
using Skein.Cli.Upstreams;

namespace Skein.Cli.Configuration;

/// <summary>The JSON schema (draft 2020-12) of a gateway's configuration file, made from its settings.</summary>
internal static class ConfigurationSchema
{
    private static readonly JsonSerializerOptions Readable = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <param name="settings">All settings of a gateway.</param>
    public static string Of(IReadOnlyList<ISetting> settings) => SchemaOf(settings).ToJsonString(Readable);

    private static JsonObject SchemaOf(IReadOnlyList<ISetting> settings)
    {
        var properties = new SortedDictionary<string, JsonObject>(StringComparer.Ordinal)
        {
            [SettingSources.SchemaKey] = new JsonObject { ["type"] = "string", ["description"] = "Address of this schema, for editors" },
        };
        foreach (var setting in settings.Where(setting => !setting.Option.Hidden))
        {
            var schema = setting.Shape.ToSchema();
            schema.Insert(0, "description", Describe(setting));
            properties[setting.Key] = schema;
            if (setting.ListKey is { } list)
                properties[list] = Upstreams();
        }
        return new JsonObject
        {
            ["$schema"] = "https://json-schema.org/draft/2020-12/schema",
            ["title"] = "skein.json",
            ["description"] = "Configuration of a Skein gateway: skein gateway --config skein.json",
            ["type"] = "object",
            ["properties"] = new JsonObject(properties.Select(property => KeyValuePair.Create(property.Key, (JsonNode?)property.Value))),
            ["additionalProperties"] = false,
        };
    }

    private static string Describe(ISetting setting) =>
        $"{setting.Option.Description}. Allowed: {setting.Allowed}. Flag {setting.Option.Name}, variable {setting.EnvironmentVariable}. "
        + (setting.IsLive ? "A change is used without a restart." : "A change needs a restart.");

    private static JsonObject Upstreams()
    {
        var members = new JsonObject();
        foreach (var (name, description, schema) in UpstreamEntry.Documented)
        {
            var member = JsonNode.Parse(schema)!.AsObject();
            member.Insert(0, "description", description);
            members[name] = member;
        }
        return new JsonObject
        {
            ["description"] = "Servers that this gateway serves itself, each with options of its own. A change is used without a restart.",
            ["type"] = "array",
            ["items"] = new JsonObject
            {
                ["type"] = "object", ["properties"] = members, ["required"] = new JsonArray("url"), ["additionalProperties"] = false,
            },
        };
    }
}
