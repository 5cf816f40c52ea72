namespace Skein.Engines.OpenAiCompatible.Wire;

/// <summary>Reads members that may be missing, null or of another kind: servers differ.</summary>
internal static class JsonReading
{
    /// <summary>The member; null if it is absent or null.</summary>
    public static JsonElement? Member(this JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    public static string? Text(this JsonElement element, string name) =>
        element.Member(name) is { ValueKind: JsonValueKind.String } value ? value.GetString() : null;

    public static int? Whole(this JsonElement element, string name) =>
        element.Member(name) is { ValueKind: JsonValueKind.Number } value && value.TryGetInt32(out var number) ? number : null;

    public static double? Number(this JsonElement element, string name) =>
        element.Member(name) is { ValueKind: JsonValueKind.Number } value && value.TryGetDouble(out var number) ? number : null;

    /// <summary>The elements of an array member; empty if it is absent or not an array.</summary>
    public static IEnumerable<JsonElement> Elements(this JsonElement element, string name) =>
        element.Member(name) is { ValueKind: JsonValueKind.Array } value ? value.EnumerateArray() : [];

    /// <summary>Token ids; null if the array is absent.</summary>
    /// <exception cref="FaultException">An element is not a token id.</exception>
    public static uint[]? Ids(this JsonElement element, string name)
    {
        if (element.Member(name) is not { ValueKind: JsonValueKind.Array } array)
            return null;

        var ids = new uint[array.GetArrayLength()];
        var count = 0;
        foreach (var item in array.EnumerateArray())
        {
            ids[count++] = item.ValueKind == JsonValueKind.Number && item.TryGetUInt32(out var id)
                ? id
                : throw new FaultException(Fault.EngineFailed, $"the engine's '{name}' has an element that is not a token id: {item.GetRawText()}");
        }

        return ids;
    }
}
