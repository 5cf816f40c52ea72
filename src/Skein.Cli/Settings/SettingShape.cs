using System.Text.Json.Nodes;

namespace Skein.Cli.Settings;

/// <summary>What a setting's value is in the file, as JSON schema says it. Immutable.</summary>
/// <param name="Types">Names of JSON types.</param>
/// <param name="Min">Smallest number; null: not a number.</param>
/// <param name="Words">All values; null: not one of some words.</param>
/// <param name="Pattern">Regular expression that texts match; null: none.</param>
/// <param name="IsList">Whether it may be a list of them too.</param>
internal sealed record SettingShape(
    IReadOnlyList<string> Types, double? Min = null, double? Max = null, IReadOnlyList<string>? Words = null, string? Pattern = null, bool IsList = false)
{
    /// <summary>Only 0 needs no unit.</summary>
    public static SettingShape Duration { get; } = new(["string"], Pattern: @"^([0-9]+(\.[0-9]+)?(ms|s|m|h)|0)$");

    /// <summary>A number is in bytes.</summary>
    public static SettingShape Size { get; } = new(["string", "integer"], Pattern: "^[0-9]+(KiB|MiB|GiB|TiB)?$");

    public static SettingShape Number(string type, double min, double max) => new([type], min, max);

    public static SettingShape Word(IReadOnlyList<string> words) => new(["string"], Words: words);

    public static SettingShape Of(Type type, bool isList) =>
        new([type == typeof(bool) ? "boolean" : type == typeof(double) ? "number" : "string"], IsList: isList);

    /// <summary>The part of a schema that holds for the value.</summary>
    public JsonObject ToSchema()
    {
        var one = new JsonObject { ["type"] = Types.Count == 1 ? Types[0] : new JsonArray([.. Types.Select(type => (JsonNode)type)]) };
        if (Min is { } min)
            (one["minimum"], one["maximum"]) = (min, Max);
        if (Words is not null)
            one["enum"] = new JsonArray([.. Words.Select(word => (JsonNode)word)]);
        if (Pattern is not null)
            one["pattern"] = Pattern;
        return IsList ? new JsonObject { ["anyOf"] = new JsonArray(one, new JsonObject { ["type"] = "array", ["items"] = one.DeepClone() }) } : one;
    }
}

/// <summary>Writes values as the environment and the file have them.</summary>
internal static class SettingText
{
    /// <returns>Null for no value.</returns>
    public static string? Of(object? value) => value switch
    {
        null => null,
        bool flag => flag ? "true" : "false",
        string text => text,
        TimeSpan time => Durations.Text(time),
        Uri url => url.AbsoluteUri,
        System.Collections.IEnumerable items => Join(items),
        IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString(),
    };

    private static string? Join(System.Collections.IEnumerable items) =>
        string.Join(',', items.Cast<object>().Select(Of)) is { Length: > 0 } text ? text : null;
}
